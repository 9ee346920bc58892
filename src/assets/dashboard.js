// The pages follow what happens, and their buttons order what the API does. Without this they read well all the same.
"use strict";

(() => {
  document.documentElement.classList.add("js");

  const byId = (id) => document.getElementById(id);
  const lamp = byId("lamp");
  const said = byId("said");

  // How soon after a refresh the next one may come, and how often the page is refreshed when nobody tells of changes.
  const AT_MOST_EVERY_MS = 1000;
  const UNTOLD_EVERY_MS = 10000;

  function say(text, isTrouble) {
    said.textContent = text;
    said.classList.toggle("trouble", Boolean(isTrouble));
    said.hidden = false;
  }

  // Puts the parts of a newer page in the place of this one's. What is open stays open, and who has the focus keeps it.
  function replaceParts(page) {
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (!fresh) continue;
      for (const details of old.querySelectorAll("details[id][open]")) {
        const same = fresh.querySelector(`#${CSS.escape(details.id)}`);
        if (same) same.open = true;
      }
      if (fresh.innerHTML === old.innerHTML) continue;
      const focused = old.contains(document.activeElement) ? document.activeElement : null;
      old.replaceChildren(...document.adoptNode(fresh).childNodes);
      if (focused) {
        const same = focused.id ? byId(focused.id) : old.querySelector(`a[href="${CSS.escape(focused.getAttribute("href") || "")}"]`);
        (same || byId("main")).focus({ preventScroll: true });
      }
    }
    document.title = page.title;
  }

  let refreshing = null;
  let again = false;

  async function fetchPage() {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
    const path = new URL(answer.url).pathname;
    // The session is over, or what was searched for has been found.
    if (answer.redirected && path !== location.pathname) return location.assign(answer.url);
    if (!(answer.headers.get("content-type") || "").startsWith("text/html")) return;
    // What was shown is not there any more: what it says still holds for what it was.
    if (answer.ok) replaceParts(new DOMParser().parseFromString(await answer.text(), "text/html"));
  }

  // Refreshes the page: at once, unless that was done a moment ago.
  function refresh() {
    if (refreshing) {
      again = true;
      return;
    }
    refreshing = fetchPage()
      .catch(() => {})
      .then(() => new Promise((done) => setTimeout(done, AT_MOST_EVERY_MS)))
      .then(() => {
        refreshing = null;
        if (again) {
          again = false;
          refresh();
        }
      });
  }

  let source = null;
  let untold = null;

  function show(state, words) {
    lamp.dataset.state = state;
    lamp.textContent = words;
  }

  function listen() {
    if (source || !lamp) return;
    source = new EventSource("/live");
    source.onopen = () => {
      clearInterval(untold);
      untold = null;
      show("live", "live");
    };
    source.addEventListener("changed", refresh);
    source.onerror = () => {
      show("lost", "reconnecting");
      if (source.readyState === EventSource.CLOSED) deafen();
      if (!untold) untold = setInterval(() => { listen(); refresh(); }, UNTOLD_EVERY_MS);
    };
  }

  function deafen() {
    if (source) source.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") listen();
    else deafen();
  });
  window.addEventListener("pagehide", deafen);
  window.addEventListener("pageshow", listen);

  // Asks before what cannot be undone. Resolves to what is to be sent, or to nothing.
  function confirmed(button) {
    const { title, confirm, reason, yes } = button.dataset;
    if (!confirm) return Promise.resolve({});
    const dialog = byId("confirm");
    const input = byId("confirm-input");
    byId("confirm-title").textContent = title;
    byId("confirm-text").textContent = confirm;
    byId("confirm-yes").textContent = yes || button.textContent;
    byId("confirm-reason").hidden = !reason;
    input.required = Boolean(reason);
    input.value = "";
    dialog.returnValue = "";
    dialog.showModal();
    if (reason) input.focus();
    else byId("confirm-no").focus();
    return new Promise((done) => {
      dialog.addEventListener("close", () => {
        const agreed = dialog.returnValue === "yes";
        done(agreed ? (reason ? { reason: input.value } : {}) : null);
      }, { once: true });
    });
  }

  async function order(button) {
    const body = await confirmed(button);
    if (!body) return;
    const { order: path, done } = button.dataset;
    button.disabled = true;
    try {
      const headers = { "x-crosspage": "1", "content-type": "application/json" };
      const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
      const told = await answer.json().catch(() => ({}));
      if (answer.status === 401) return location.assign("/login");
      if (answer.ok) say(told.what ? `${done} ${told.what}.` : done, told.taken === false);
      else say((told.error && told.error.message) || `It was refused (${answer.status}).`, true);
    } catch {
      say("crosspage does not answer. Nothing may have been done: look again.", true);
    } finally {
      button.disabled = false;
    }
    refresh();
  }

  document.addEventListener("click", (click) => {
    const button = click.target.closest("button[data-order]");
    if (button) order(button);
  });

  // As on many pages: a slash leads to the search.
  document.addEventListener("keydown", (key) => {
    if (key.key !== "/" || key.ctrlKey || key.metaKey || key.altKey) return;
    if (key.target.closest("input, textarea, dialog")) return;
    key.preventDefault();
    byId("q").focus();
  });
})();
