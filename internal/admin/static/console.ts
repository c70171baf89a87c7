// The console's own script. Every page works without it; it adds the reader's
// time zone, copy buttons, colour pickers, a live preview and a warning before
// unsaved changes are lost. It writes no HTML, so the page's policy can forbid
// every sink for it.

/** What the page's language calls a text of this script; English stands here. */
const words = JSON.parse(document.documentElement.dataset.words || "{}") as Record<string, string>;
function say(text: string, value?: string | number): string {
  return (words[text] ?? text).replace("%s", () => String(value ?? "%s"));
}

/** The language that dates are written in: the page's, or the reader's own English. */
const tongue = document.documentElement.lang === "en" ? undefined : document.documentElement.lang;

/** Times are rendered in UTC: the reader's own zone replaces it, UTC becomes the tooltip; lists by UTC day keep theirs. */
function localTimes(root: ParentNode): void {
  const format = new Intl.DateTimeFormat(tongue, { dateStyle: "medium", timeStyle: "medium" });
  root.querySelectorAll<HTMLTimeElement>("time[datetime]").forEach((time) => {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) return;
    if (time.dataset.utc !== undefined) {
      time.title = format.format(at);
      return;
    }
    time.title = time.textContent ?? "";
    time.textContent = format.format(at);
  });
}

/** A copy button stands beside every element that names itself data-copy. */
function copyButtons(root: ParentNode): void {
  root.querySelectorAll<HTMLElement>("[data-copy]").forEach((source) => {
    if (!navigator.clipboard) return;
    const button = document.createElement("button");
    const label = source.dataset.copy || say("Copy");
    button.type = "button";
    button.textContent = label;
    if (source.dataset.copyStyle) button.className = source.dataset.copyStyle;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(source.textContent?.trim() ?? "");
        button.textContent = say("Copied");
      } catch {
        button.textContent = say("Press Ctrl+C");
        getSelection()?.selectAllChildren(source);
      }
      setTimeout(() => (button.textContent = label), 2000);
    });
    source.after(button);
  });
}

/** Leaving a form with unsaved changes asks first. */
function guardChanges(form: HTMLFormElement): void {
  let changed = form.dataset.unsaved === "true";
  const state = form.querySelector<HTMLElement>("[data-state]");
  form.addEventListener("input", (event) => {
    if (["mode", "width"].includes((event.target as HTMLInputElement).name)) return;
    changed = true;
    if (state) state.textContent = say("Not saved yet");
  });
  form.addEventListener("submit", (event) => {
    const button = (event as SubmitEvent).submitter as HTMLButtonElement | null;
    if (!button?.formTarget) changed = false;
  });
  addEventListener("beforeunload", (event) => {
    if (changed) event.preventDefault();
  });
}

function parts(hex: string): number[] | null {
  if (!/^#[0-9a-f]{6}$/i.test(hex)) return null;
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255);
}

function luminance(hex: string): number | null {
  const rgb = parts(hex);
  if (!rgb) return null;
  const weights = [0.2126, 0.7152, 0.0722];
  return rgb.reduce((sum, v, i) => sum + (weights[i] ?? 0) * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4), 0);
}

/** WCAG 2.2 contrast, 1 to 21; null while a colour is being typed. */
function contrast(a: string, b: string): number | null {
  const la = luminance(a);
  const lb = luminance(b);
  if (la === null || lb === null) return null;
  return (Math.max(la, lb) + 0.05) / (Math.min(la, lb) + 0.05);
}

/** A picker beside each colour, and the contrast of each pair as it changes. */
function colours(form: HTMLFormElement): void {
  form.querySelectorAll<HTMLInputElement>("input[data-colour]").forEach((text) => {
    const picker = document.createElement("input");
    picker.type = "color";
    picker.setAttribute("aria-label", say("Pick: %s", text.dataset.colour));
    picker.value = parts(text.value) ? text.value : "#000000";
    picker.addEventListener("input", () => {
      text.value = picker.value;
      text.dispatchEvent(new Event("input", { bubbles: true }));
    });
    text.addEventListener("input", () => {
      if (parts(text.value)) picker.value = text.value.toLowerCase();
    });
    text.before(picker);
  });
  const show = (): void => {
    form.querySelectorAll<HTMLElement>("[data-contrast]").forEach((badge) => {
      const [a, b] = (badge.dataset.contrast ?? "").split(" ").map((name) => (form.elements.namedItem(name) as HTMLInputElement).value);
      const ratio = contrast(a ?? "", b ?? "");
      if (ratio === null) return;
      const least = Number(badge.dataset.least);
      const enough = ratio >= least;
      badge.textContent = `${(Math.floor(ratio * 10) / 10).toFixed(1)}:1 ${enough ? say("readable") : say("too weak, at least %s:1", least)}`;
      badge.className = `badge ${enough ? "good" : "bad"}`;
    });
  };
  form.addEventListener("input", show);
}

/** The preview follows the form; a slip keeps the last good one and says why. */
function livePreview(form: HTMLFormElement): void {
  const button = form.querySelector<HTMLButtonElement>("button[formtarget='preview']");
  const frame = form.querySelector<HTMLIFrameElement>("iframe[name='preview']");
  const said = form.querySelector<HTMLElement>("[data-preview-state]");
  if (!button || !frame) return;
  button.hidden = true;
  let timer = 0;
  let turn = 0;
  const update = async (): Promise<void> => {
    const mine = ++turn;
    try {
      const answer = await fetch(button.formAction, {
        method: "POST",
        body: new URLSearchParams([...new FormData(form)].filter((e): e is [string, string] => typeof e[1] === "string")),
        headers: { Accept: "text/plain" },
      });
      const text = await answer.text();
      if (mine !== turn) return;
      if (answer.ok) frame.contentWindow?.postMessage(text, "*");
      if (said) said.textContent = answer.ok ? "" : answer.status === 401 ? say("You are signed out. Sign in again in another tab, then come back.") : text;
    } catch {
      if (said && mine === turn) said.textContent = say("The server cannot be reached; the preview is not up to date.");
    }
  };
  form.addEventListener("input", (event) => {
    if ((event.target as HTMLInputElement).name === "width") return;
    clearTimeout(timer);
    timer = setTimeout(() => void update(), 300);
  });
}

interface Concern {
  readonly ids: readonly string[];
  readonly kind: string;
  readonly where: string;
  readonly says: string;
  readonly source: string;
}

function element(name: string, className: string, text = ""): HTMLElement {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

/** What regulators object to stands beside the field that it is about, while it is edited. */
function concerns(form: HTMLFormElement): void {
  const all = form.querySelector<HTMLDetailsElement>("[data-concerns]");
  if (!all) return;
  const list = all.querySelector("ul");
  const said = all.querySelector<HTMLElement>("[data-concern-count]");
  const show = (found: readonly Concern[]): void => {
    form.querySelectorAll<HTMLElement>("[data-concern]").forEach((old) => {
      document.querySelectorAll(`[aria-describedby~="${old.id}"]`).forEach((input) => {
        const rest = (input.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id !== old.id);
        if (rest.length) input.setAttribute("aria-describedby", rest.join(" "));
        else input.removeAttribute("aria-describedby");
      });
      old.remove();
    });
    const counts = new Map<Element, number>();
    list?.replaceChildren();
    found.forEach(({ ids, kind, where, says, source }, i) => {
      const parts = (): HTMLElement[] => [element("span", "badge warn", kind), element("p", "", says), element("small", "soft", source)];
      const item = element("li", "");
      const link = element("a", "", where) as HTMLAnchorElement;
      link.href = `#${ids[0] ?? ""}`;
      const [badge, ...rest] = parts();
      item.append(badge!, " ", link, ...rest);
      list?.append(item);
      ids.forEach((id, j) => {
        const input = document.getElementById(id);
        if (!input) return;
        const note = element("div", "concern stack-s");
        note.id = `concern-${i}-${j}`;
        note.dataset.concern = "";
        note.append(...parts());
        const field = input.closest(".field, .check") ?? input;
        if (field === input) field.append(note);
        else field.after(note);
        input.setAttribute("aria-describedby", `${input.getAttribute("aria-describedby") ?? ""} ${note.id}`.trim());
        for (let fold = input.closest("details"); fold; fold = fold.parentElement?.closest("details") ?? null) counts.set(fold, (counts.get(fold) ?? 0) + 1);
      });
    });
    counts.forEach((count, fold) => {
      const badge = element("span", "badge warn", String(count));
      badge.dataset.concern = "";
      badge.title = say("What to look at in here");
      fold.querySelector("summary")?.append(badge);
    });
    all.hidden = !found.length;
    if (said) said.textContent = found.length === 1 ? say("1 thing") : say("%s things", found.length);
  };
  let turn = 0;
  let timer = 0;
  const ask = async (): Promise<void> => {
    const mine = ++turn;
    try {
      const answer = await fetch(all.dataset.concerns!, {
        method: "POST",
        body: new URLSearchParams([...new FormData(form)].filter((e): e is [string, string] => typeof e[1] === "string")),
      });
      if (answer.ok && mine === turn) show((await answer.json()) as Concern[]);
    } catch {
      // The page that publishes says them all again.
    }
  };
  form.addEventListener("input", (event) => {
    if (["mode", "width"].includes((event.target as HTMLInputElement).name)) return;
    clearTimeout(timer);
    timer = setTimeout(() => void ask(), 400);
  });
  all.addEventListener("click", (event) => {
    // A field in a folded section is unfolded before the link leads there.
    const target = event.target instanceof HTMLAnchorElement && document.getElementById(event.target.hash.slice(1));
    for (let fold = target && target.closest("details"); fold; fold = fold.parentElement?.closest("details") ?? null) fold.open = true;
  });
  void ask();
}

/** The stage shows a whole desktop or phone at whatever width it has. */
function fitStage(stage: HTMLElement): void {
  const frame = stage.querySelector("iframe");
  if (!frame) return;
  const fit = (): void => {
    const phone = document.querySelector<HTMLInputElement>("#width-phone")?.checked;
    stage.style.setProperty("--zoom", phone ? String(Math.min(1, stage.clientWidth / 420, 0.78)) : String(stage.clientWidth / 1280));
  };
  new ResizeObserver(fit).observe(stage);
  document.querySelectorAll("input[name='width']").forEach((radio) => radio.addEventListener("change", fit));
  fit();
}

/** A sentence that is asked for again while somebody waits for it to change, in seconds. */
const POLL = 5;
function poll(said: HTMLElement): void {
  const ask = async (): Promise<void> => {
    try {
      const answer = await fetch(said.dataset.poll!, { headers: { Accept: "text/plain" } });
      const text = answer.ok && (answer.headers.get("Content-Type") ?? "").startsWith("text/plain") ? await answer.text() : "";
      // A status that is written again is read out again.
      if (text && text !== said.textContent) {
        said.textContent = text;
        said.classList.toggle("good", !answer.headers.has("X-Waiting"));
      }
    } catch {
      // The next time may work.
    }
    setTimeout(() => void ask(), POLL * 1000);
  };
  setTimeout(() => void ask(), POLL * 1000);
}

/** A day and time is the reader's own, and is sent as the moment that it is. */
function localSchedule(form: HTMLFormElement): void {
  const at = form.elements.namedItem("at") as HTMLInputElement;
  const utc = form.elements.namedItem("at_utc") as HTMLInputElement;
  const zone = form.querySelector<HTMLElement>("[data-zone]");
  if (zone) zone.textContent = say("in your time zone (%s)", Intl.DateTimeFormat().resolvedOptions().timeZone);
  const tell = (): void => {
    const moment = new Date(at.value);
    utc.value = Number.isNaN(moment.getTime()) ? "" : moment.toISOString();
  };
  at.addEventListener("input", tell);
  form.addEventListener("submit", tell);
}

/** Where "g" and a letter lead: the link in the page's own navigation. A page without it has no such key. */
const PLACES = new Map([
  ["s", "nav [href^='/console/sites']"], ["m", "nav [href^='/console/members']"], ["a", "nav [href^='/console/activity']"], ["o", "nav [href^='/console/operator']"],
  ["u", ".who [href='/console/account']"], ["b", ".tabs [href$='/banner']"], ["e", ".tabs [href$='/seen']"], ["v", ".tabs [href$='/versions']"],
  ["r", ".tabs [href$='/register']"], ["t", ".tabs [href$='/statistics']"], ["w", ".tabs [href$='/webhooks']"],
]);
/** How long a "g" waits for its letter, in milliseconds. */
const LEADING = 1500;

/** Keys for those who live here: "/" to search, "g" and a letter to go, "?" for the list. */
function keys(list: HTMLDialogElement): void {
  let led = 0;
  const place = (letter: string): HTMLElement | null => {
    const where = PLACES.get(letter);
    return where === undefined ? null : document.querySelector<HTMLElement>(where);
  };
  list.querySelectorAll<HTMLElement>("[data-go]").forEach((row) => (row.hidden = !place(row.dataset.go!)));
  document.querySelectorAll<HTMLElement>("[data-keys]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => list.showModal());
  });
  document.addEventListener("keydown", (pressed) => {
    const at = pressed.target as HTMLElement;
    const typing = at.isContentEditable || (at.matches("input, textarea, select") && !at.matches("[type=checkbox], [type=radio], [type=submit], [type=button]"));
    if (pressed.defaultPrevented || pressed.isComposing || pressed.ctrlKey || pressed.metaKey || pressed.altKey || typing || document.querySelector("dialog[open]")) return;
    const following = Date.now() - led < LEADING;
    led = 0;
    if (following) {
      const link = place(pressed.key);
      if (!link) return;
      pressed.preventDefault();
      link.click();
    } else if (pressed.key === "g") {
      led = Date.now();
    } else if (pressed.key === "/") {
      const search = document.querySelector<HTMLInputElement>("input[type=search]");
      if (!search) return;
      pressed.preventDefault();
      search.focus();
      search.select();
    } else if (pressed.key === "?") {
      pressed.preventDefault();
      list.showModal();
    }
  });
}

document.querySelectorAll<HTMLFormElement>("[data-schedule]").forEach(localSchedule);
document.querySelectorAll<HTMLElement>("[data-poll]").forEach(poll);
document.querySelectorAll<HTMLFormElement>("form[data-guard]").forEach(guardChanges);
document.querySelectorAll<HTMLFormElement>("form[data-editor]").forEach((form) => {
  colours(form);
  livePreview(form);
  concerns(form);
});
document.querySelectorAll<HTMLElement>(".stage").forEach(fitStage);
// On a phone the tabs scroll sideways: the one that is open is in sight.
document.querySelectorAll<HTMLElement>(".tabs").forEach((tabs) => {
  const open = tabs.querySelector<HTMLElement>("[aria-current]");
  if (open) tabs.scrollLeft = open.offsetLeft - (tabs.clientWidth - open.offsetWidth) / 2;
});
// The page is painted first: what is below changes little of it, and a slow machine takes 20 ms to make the format of times alone.
requestAnimationFrame(() =>
  setTimeout(() => {
    localTimes(document);
    copyButtons(document);
    document.querySelectorAll<HTMLDialogElement>("dialog#keys").forEach(keys);
  }),
);
