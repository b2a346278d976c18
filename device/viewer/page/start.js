"use strict";

/* Starts the page. A module that could not be loaded is not loaded again, so then the page is, when the service answers. */
import("./main.js").catch(async () => {
  for (;;) {
    await new Promise((done) => setTimeout(done, 2000));
    const answer = await fetch("page/main.js", { cache: "no-store" }).catch(() => null);
    if (answer?.ok) location.reload();
  }
});
