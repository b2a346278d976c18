"use strict";

/* Starts the page, and what the service added to it. A module that could not be loaded is not loaded again, so then the
   page is, when the service answers. */
const added = (document.documentElement.dataset.more ?? "").split(" ").filter(Boolean);
import("./main.js").then(() => Promise.all(added.map((folder) => import(`../${folder}/main.js`)))).catch(async () => {
  for (;;) {
    await new Promise((done) => setTimeout(done, 2000));
    const answer = await fetch("page/main.js", { cache: "no-store" }).catch(() => null);
    if (answer?.ok) location.reload();
  }
});
