// Keeps a page up to date and filters while one types. Everything works without it, only slower.
"use strict";

(() => {
  const live = () => document.getElementById("live");
  const refreshSeconds = () => Number(live()?.dataset.refresh ?? 0);
  let timer = 0;
  let latest = 0; // of the requests: an answer that was overtaken is dropped

  // Nothing moves under whoever reads with the keyboard: the focus stays on the same link.
  function focused() {
    const element = document.activeElement;
    return element && live().contains(element) ? element.getAttribute("href") : null;
  }

  function show(text) {
    const next = new DOMParser().parseFromString(text, "text/html");
    const fresh = next.getElementById("live");
    if (!fresh) {
      throw new Error("no status in the answer");
    }
    const link = focused();
    live().replaceWith(document.adoptNode(fresh));
    document.title = next.title;
    if (link !== null) {
      const again = [...live().querySelectorAll("a")].find((a) => a.getAttribute("href") === link);
      again?.focus({ preventScroll: true });
    }
  }

  async function refresh() {
    const mine = ++latest;
    clearTimeout(timer);
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(30000) });
      if (!answer.ok) {
        throw new Error(String(answer.status));
      }
      const text = await answer.text();
      if (mine === latest) {
        show(text);
        document.body.classList.remove("stale");
      }
    } catch {
      if (mine === latest && !document.body.classList.contains("stale")) {
        document.body.classList.add("stale");
        document.getElementById("asof")?.append(": the exporter does not answer, this is old");
      }
    }
    if (mine === latest) {
      schedule();
    }
  }

  function schedule() {
    clearTimeout(timer);
    if (refreshSeconds() > 0 && !document.hidden) {
      timer = setTimeout(refresh, refreshSeconds() * 1000);
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && refreshSeconds() > 0) {
      refresh();
    } else {
      clearTimeout(timer);
    }
  });

  const filter = document.getElementById("filter");
  if (filter) {
    let typing = 0;
    const apply = () => {
      const wanted = new URLSearchParams(new FormData(filter));
      for (const [key, value] of [...wanted]) {
        if (value === "") {
          wanted.delete(key);
        }
      }
      history.replaceState(null, "", "./" + (wanted.size ? "?" + wanted : ""));
      refresh();
    };
    filter.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(apply, 200);
    });
    filter.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(typing);
      apply();
    });
  }
  schedule();
})();
