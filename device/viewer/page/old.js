/* What LiveKit's client takes for granted, and the oldest browsers of this page lack. Import it first. */

// Safari before 15.4
Object.hasOwn = Object.hasOwn ?? ((object, key) => Object.prototype.hasOwnProperty.call(object, key));
