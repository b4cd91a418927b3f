// What a reader may do with the page: read values, hide lines, sort tables, see a run's settings, take a figure along.
// Without a script the page says the same; with it, nothing is fetched from anywhere.
"use strict";
(() => {
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // Values under the pointer, or under the arrow keys.
  const tip = make("div", { className: "tip", hidden: true });
  tip.setAttribute("role", "status");
  document.body.append(tip);
  const show = (rect, x, y) => {
    tip.replaceChildren(...rect.dataset.tip.split("\n").map((line) => make("div", { textContent: line })));
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const left = Math.max(4, Math.min(x + 14, document.documentElement.clientWidth - width - 4));
    const top = y + 18 + height > innerHeight ? y - height - 10 : y + 18;
    tip.style.transform = `translate(${left}px, ${Math.max(4, top)}px)`;
  };
  const hide = () => { tip.hidden = true; };
  for (const svg of document.querySelectorAll("svg")) {
    const rects = [...svg.querySelectorAll(".hover rect")];
    if (rects.length === 0) continue;
    for (const rect of rects) {
      const title = rect.querySelector("title");
      rect.dataset.tip = title.textContent;
      title.remove();
      rect.addEventListener("pointermove", (event) => show(rect, event.clientX, event.clientY));
      rect.addEventListener("pointerleave", hide);
    }
    let at = -1;
    const select = (index) => {
      rects[at]?.classList.remove("selected");
      at = index;
      rects[at]?.classList.add("selected");
    };
    svg.tabIndex = 0;
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      select(Math.max(0, Math.min(rects.length - 1, at + step)));
      const box = rects[at].getBoundingClientRect();
      show(rects[at], box.left + box.width / 2, box.top + box.height / 3);
    });
    svg.addEventListener("blur", () => { select(-1); hide(); });
  }

  // A button for each line of a figure.
  for (const panel of document.querySelectorAll(".panel")) {
    const series = [...panel.querySelectorAll("g.series")];
    const row = make("div", { className: "tools" });
    if (series.length > 1) {
      for (const group of series) {
        const swatch = make("span", { className: "swatch" });
        swatch.style.background = group.dataset.ink;
        const button = make("button", { type: "button", className: "toggle" }, swatch, group.dataset.label);
        button.setAttribute("aria-pressed", "true");
        button.addEventListener("click", () => {
          const shown = button.getAttribute("aria-pressed") === "false";
          button.setAttribute("aria-pressed", String(shown));
          group.style.display = shown ? "" : "none";
        });
        row.append(button);
      }
    }
    // The figure and its numbers, as files.
    const save = (name, type, text) => {
      const link = make("a", { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    };
    const svg = panel.querySelector("svg");
    const csv = panel.querySelector("script[type='text/csv']");
    const name = (svg?.getAttribute("aria-label") ?? "figure").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
    const file = (label, act) => {
      const button = make("button", { type: "button", className: "file", textContent: label });
      button.addEventListener("click", act);
      row.append(button);
    };
    if (svg) file("SVG", () => save(`${name}.svg`, "image/svg+xml", new XMLSerializer().serializeToString(svg)));
    if (csv) file("CSV", () => save(`${name}.csv`, "text/csv", csv.textContent.trimStart()));
    if (row.childElementCount > 0) panel.append(row);
  }

  // Tables sort by the column whose head is chosen: up, down, and as they were.
  const number = (text) => {
    const found = text.replaceAll("\u2212", "-").replaceAll(",", "").match(/^[+]?(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)/i);
    return found ? Number(found[1]) : NaN;
  };
  for (const table of document.querySelectorAll("table:not(.map)")) {
    const heads = [...(table.tHead?.rows[table.tHead.rows.length - 1]?.cells ?? [])];
    const bodies = [...table.tBodies].filter((body) => body.rows.length > 2);
    if (bodies.length === 0) continue;
    const before = bodies.map((body) => [...body.rows]);
    heads.forEach((head, column) => {
      const button = make("button", { type: "button", className: "sort" }, ...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        const first = head.classList.contains("n") ? "descending" : "ascending";
        const next = now === null ? first : now === first ? (first === "ascending" ? "descending" : "ascending") : null;
        for (const other of heads) other.removeAttribute("aria-sort");
        if (next) head.setAttribute("aria-sort", next);
        const sign = next === "descending" ? -1 : 1;
        bodies.forEach((body, index) => {
          // Rows that head a group stay on top of it.
          const fixed = before[index].filter((row) => row.classList.contains("task"));
          const rows = before[index].filter((row) => !row.classList.contains("task"));
          if (next) {
            const keys = new Map(rows.map((row) => [row, row.cells[column]?.innerText.trim() ?? ""]));
            rows.sort((a, b) => {
              const [x, y] = [keys.get(a), keys.get(b)];
              const [m, n] = [number(x), number(y)];
              if (Number.isNaN(m) !== Number.isNaN(n)) return Number.isNaN(m) ? 1 : -1;
              return sign * (Number.isNaN(m) ? x.localeCompare(y) : m - n);
            });
          }
          body.append(...fixed, ...rows);
        });
      });
    });
  }

  // The settings of a run.
  const source = document.getElementById("run-settings");
  if (source) {
    const settings = JSON.parse(source.textContent);
    const text = make("code");
    const title = make("h3");
    const close = make("button", { type: "button", className: "file", textContent: "Close" });
    const dialog = make("dialog", {}, title, make("pre", {}, text), close);
    document.body.append(dialog);
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    const rows = document.querySelectorAll("[data-run]");
    rows.forEach((cell, index) => {
      const button = make("button", { type: "button", className: "run" }, ...cell.childNodes);
      cell.append(button);
      button.addEventListener("click", () => {
        title.textContent = cell.dataset.run;
        const own = settings.differing.map((name, k) => [name, settings.runs[index][k]]);
        const all = [...Object.entries(settings.common), ...own].sort(([a], [b]) => (a < b ? -1 : 1));
        text.textContent = all.map(([name, value]) => `${name} = ${value}`).join("\n");
        dialog.showModal();
      });
    });
  }
})();
