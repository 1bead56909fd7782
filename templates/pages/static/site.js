// The pages for people work without this script. It adds the search over all
// projects, buttons that copy a command, and the address of the site in
// commands where the settings did not give it.
"use strict";

(() => {
  // ---- Addresses ----------------------------------------------------------

  for (const el of document.querySelectorAll("[data-href]")) {
    el.textContent = new URL(el.dataset.href, location.href).href;
  }
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  if (location.protocol === "http:" && !local) {
    for (const el of document.querySelectorAll(".trust")) {
      el.textContent = " --trusted-host " + location.hostname;
    }
  }

  // ---- Commands -----------------------------------------------------------

  // The clipboard is there on https and on this machine only.
  if (navigator.clipboard) {
    for (const pre of document.querySelectorAll(".how pre")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(pre.textContent.trim());
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      });
      pre.parentElement.classList.add("copies");
      pre.after(button);
    }
  }

  // ---- Search -------------------------------------------------------------

  const form = document.querySelector(".search");
  if (!form) return;
  const input = form.querySelector("input");
  const found = form.querySelector(".found");
  const shown = 50;
  form.hidden = false;

  // PEP 503: case does not matter, and neither does which separator it is.
  const normalize = (name) => name.toLowerCase().replace(/[-_.]+/g, "-");

  // The list of all projects is loaded once, when somebody begins to search.
  // A server that does not negotiate sends it as HTML.
  let list;
  const load = () => {
    list ??= (async () => {
      const reply = await fetch(form.dataset.simple, {
        headers: { Accept: "application/vnd.pypi.simple.v1+json, text/html;q=0.1" },
      });
      if (!reply.ok) throw new Error(reply.statusText);
      let names;
      if ((reply.headers.get("Content-Type") ?? "").includes("json")) {
        names = (await reply.json()).projects.map((project) => project.name);
      } else {
        const page = new DOMParser().parseFromString(await reply.text(), "text/html");
        names = Array.from(page.querySelectorAll("a"), (a) => a.textContent);
      }
      return names.map((name) => [normalize(name), name]);
    })();
    list.catch(() => { list = undefined; }); // the next key tries again
    return list;
  };

  // The best names for a query: equal, then beginning with it, then with a
  // word of theirs, then anywhere; shorter ones first.
  const search = (names, query) => {
    const hits = [];
    for (const [key, name] of names) {
      const at = key.indexOf(query);
      if (at < 0) continue;
      const rank = key === query ? 0 : at === 0 ? 1 : key[at - 1] === "-" ? 2 : 3;
      hits.push([rank, key, name, at]);
    }
    hits.sort((a, b) => a[0] - b[0] || a[1].length - b[1].length || (a[1] < b[1] ? -1 : 1));
    return hits;
  };

  const say = (text) => {
    const p = document.createElement("p");
    p.textContent = text;
    return p;
  };

  const link = ([, key, name, at], query) => {
    const a = document.createElement("a");
    a.href = form.dataset.project + encodeURIComponent(key) + "/";
    if (key.length === name.length) {
      const mark = document.createElement("mark");
      mark.textContent = name.slice(at, at + query.length);
      a.append(name.slice(0, at), mark, name.slice(at + query.length));
    } else {
      a.textContent = name;
    }
    return a;
  };

  let turn = 0;
  const show = async () => {
    const mine = ++turn;
    const query = normalize(input.value.trim()).replace(/\s+/g, "-");
    if (query === "") {
      found.hidden = true;
      return;
    }
    let content;
    try {
      const hits = search(await load(), query);
      content = hits.slice(0, shown).map((hit) => link(hit, query));
      if (hits.length === 0) content.push(say("No project has this in its name."));
      if (hits.length > shown) content.push(say(`and ${hits.length - shown} more`));
    } catch {
      content = [say("The list of projects could not be loaded.")];
    }
    if (mine !== turn) return; // somebody typed on meanwhile
    found.replaceChildren(...content);
    found.hidden = false;
  };

  const move = (event, step) => {
    const links = [...found.querySelectorAll("a")];
    if (found.hidden || links.length === 0) return;
    event.preventDefault();
    const at = links.indexOf(document.activeElement) + step;
    (at < 0 ? input : links[Math.min(at, links.length - 1)]).focus();
  };

  input.addEventListener("input", show);
  input.addEventListener("focus", () => {
    load().catch(() => {}); // told when something is typed
    if (input.value !== "") show();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    found.querySelector("a")?.click();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") move(event, 1);
    if (event.key === "ArrowUp") move(event, -1);
    if (event.key === "Escape") {
      found.hidden = true;
      input.focus();
    }
  });
  document.addEventListener("click", (event) => {
    if (!form.contains(event.target)) found.hidden = true;
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      input.focus();
    }
  });
})();
