"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const filter = find("filter");
  if (!filter) return;
  filter.hidden = false;
  const all = (selector, below = document) => [...below.querySelectorAll(selector)];
  const boxes = all(".box").reverse();
  const items = all(".item").map((element) => ({ element, group: element.closest(".group") }));
  const clusters = new Map();

  // What is searched is read once, by the first search: opening the page stays cheap.
  const textOf = (item) => {
    if (item.text === undefined) {
      let text = item.element.textContent;
      for (let box = item.element.closest("[data-name]"); box; box = box.parentElement.closest("[data-name]")) {
        text += "\n" + box.dataset.name;
      }
      item.text = text.toLowerCase();
    }
    return item.text;
  };
  const hasCluster = (group, wanted) => {
    if (!group) return true;
    if (!clusters.has(group)) clusters.set(group, group.querySelector(".clusters").textContent.split(", "));
    return clusters.get(group).some((name) => name.includes(wanted));
  };
  const value = (id) => find(id)?.value.trim() ?? "";

  const apply = () => {
    const words = value("text").toLowerCase().split(/\s+/).filter(Boolean);
    const [cluster, addon, risk] = [value("cluster"), value("addon"), value("risk")];
    const groups = new Map();
    let shown = 0;
    for (const item of items) {
      const { element, group } = item;
      if (!groups.has(group)) groups.set(group, !cluster || hasCluster(group, cluster));
      const has = element.dataset;
      const fits = groups.get(group)
        && (!addon || has.addon === addon)
        && (!risk || (risk === "any" ? has.risk : has.risk === risk))
        && words.every((word) => textOf(item).includes(word));
      element.hidden = !fits;
      if (fits) shown += 1;
    }
    const isFiltered = Boolean(words.length || cluster || addon || risk);
    for (const box of boxes) {
      const isEmpty = !box.querySelector(".item:not([hidden])");
      box.hidden = isEmpty;
      if (isFiltered && !isEmpty && box.tagName === "DETAILS" && shown <= 200) box.open = true;
    }
    find("shown").textContent = isFiltered ? `${shown} of ${items.length} shown` : "";
  };

  let isWaiting = false;
  filter.addEventListener("input", () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => { isWaiting = false; apply(); });
  });

  const open = (is) => () => all("details.box").forEach((box) => { box.open = is; });
  find("open").addEventListener("click", open(true));
  find("close").addEventListener("click", open(false));
  addEventListener("beforeprint", open(true));

  const move = (step) => {
    const summaries = all(".group:not([hidden]) > summary");
    const at = summaries.findIndex((summary) => summary.parentElement.contains(document.activeElement));
    summaries[at < 0 ? 0 : Math.min(Math.max(at + step, 0), summaries.length - 1)]?.focus();
  };
  addEventListener("keydown", (event) => {
    const isInput = event.target.matches("input:not([type=checkbox]), select");
    if (event.key === "Escape" && isInput) {
      event.target.value = "";
      apply();
    } else if (find("keys").checked && !isInput && !event.ctrlKey && !event.metaKey && !event.altKey) {
      if (event.key === "/") find("text").focus();
      else if (event.key === "j") move(1);
      else if (event.key === "k") move(-1);
      else return;
      event.preventDefault();
    }
  });
})();
