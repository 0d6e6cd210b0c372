// The raters' panel: shows pictures at their true pixels, takes answers, and sends each until it is acknowledged.
//
// The server says what comes (`data`); the panel goes on to the next picture, which is loaded already, without
// waiting for it, but takes no further answer until the last one is known to be stored.

const RETRY = 3000; // milliseconds until an answer without acknowledgement is sent again
const PATIENCE = 3; // retries until the page is loaded anew, should the server be there and the connection not
const GAP = 16; // CSS pixels between pictures, as in rate.css
const PENDING = "lacbench-pending";
const JOINED = "lacbench-joined-by-";

export default function (component) {
  const root = component.parentElement.querySelector(".panel");
  root.panel ??= new Panel(root);
  root.panel.receive(component.data, (event) => component.setTriggerValue("event", event));
  return () => root.panel.leave();
}

class Panel {
  constructor(root) {
    this.at = (selector) => root.querySelector(selector);
    this.read = new Set(); // pages of text that were read
    this.loaded = new Map(); // address → promise of a decoded picture
    this.pending = recall(); // the event that is not acknowledged yet
    this.attempts = 0;
    this.lineArt = this.zoomed = this.practising = this.failing = false;
    this.shown = null; // the trial on show, and since when
    this.shownAt = Infinity;
    this.outside = new AbortController();
    this.listen(root);
    root.showPopover(); // above whatever Streamlit itself may lay over the page
  }

  listen(root) {
    const options = { signal: this.outside.signal };
    const tools = { l: () => this.toggle("lineArt"), z: () => this.toggle("zoomed"), u: () => this.undo() };
    window.addEventListener("keydown", (event) => this.press(event, tools), { ...options, capture: true });
    window.addEventListener("resize", () => this.layOut(), options);
    this.sizes = new ResizeObserver(() => this.layOut()); // words below the stage may take a second line
    this.sizes.observe(this.at(".stage"));
    this.at(".go").onclick = () => this.go();
    this.at(".undo-last").onclick = tools.u;
    this.at(".undo").onclick = tools.u;
    this.at(".line-art").onclick = tools.l;
    this.at(".zoom").onclick = tools.z;
    this.at(".answers").onclick = (event) => {
      const button = event.target.closest("button");
      // The second click of a double click is no answer to the next picture.
      if (button && event.detail < 2) this.answer(Number(button.value), event.timeStamp);
    };
    this.tabs = new BroadcastChannel("lacbench-rate");
    this.tabs.onmessage = ({ data }) => data === location.search && this.send({ kind: "look" });
    this.app = root.getRootNode().host?.closest("[data-test-connection-state]");
    this.watch = new MutationObserver(() => this.warn());
    if (this.app) this.watch.observe(this.app, { attributeFilter: ["data-test-connection-state"] });
  }

  leave() {
    this.outside.abort();
    this.tabs.close();
    this.watch.disconnect();
    this.sizes.disconnect();
    clearTimeout(this.retry);
    clearTimeout(this.unlock);
  }

  // --- what the server says ---

  receive(data, send) {
    const first = !this.data;
    [this.data, this.send] = [data, send];
    if (first) this.tabs.postMessage(location.search);
    if (this.pending?.event === data.ack) this.settle();
    else if (this.pending) {
      // What is on show is ahead of the server: its answer to the pending event says whether rightly.
      if (first) this.post();
      return;
    }
    if (data.page === "text") this.tell(data);
    else this.proceed(data.trial);
    this.preload();
  }

  settle() {
    if (this.pending.kind === "sit") this.tabs.postMessage(location.search);
    if (this.pending.joined && this.data.own) localStorage.setItem(this.pending.joined, `?t=${this.data.own}`);
    this.pending = null;
    this.attempts = 0;
    clearTimeout(this.retry);
    remember(null);
    this.warn();
  }

  /** Show the trial, or a page of text that comes before it. */
  proceed(trial) {
    const page = this.pageBefore(trial);
    if (page) this.tell(page);
    else if (trial.key !== this.shown?.key) this.show(trial);
    else this.refresh();
  }

  pageBefore(trial) {
    const { welcome, practised, pause } = this.data.pages;
    const unread = (page, name) => (this.read.has(name) ? null : { ...page, name, trial });
    if (welcome && !this.read.has("welcome")) return unread(welcome, "welcome");
    if (this.practising && !trial.training && !this.read.has("practised")) return unread(practised, "practised");
    return trial.pause ? unread(pause, trial.key) : null;
  }

  tell(page) {
    // Who comes again by an open link goes on as the rater they became.
    const own = page.join && localStorage.getItem(JOINED + location.search);
    if (own) return location.replace(own);
    this.page = page;
    [this.shown, this.shownAt] = [null, Infinity];
    this.at("h1").textContent = page.title;
    this.at(".text").replaceChildren(...page.text.map((words) => element("p", words)));
    this.at(".go").hidden = !page.button;
    this.at(".go").textContent = page.button;
    this.at(".undo-last").hidden = !this.data.undo;
    this.turn(".message", "h1");
    this.refresh();
  }

  /** Leave the page of text: for the trial behind it, or to ask the server. */
  go() {
    if (this.pending) return;
    if (!this.page.name) return this.submit({ kind: "sit", joined: this.page.join && JOINED + location.search });
    this.read.add(this.page.name);
    this.proceed(this.page.trial);
  }

  // --- a trial ---

  async show(trial) {
    [this.shown, this.shownAt, this.practising] = [trial, Infinity, trial.training];
    this.at(".pictures").replaceChildren();
    this.at(".count").textContent = `${trial.training ? "Practice " : ""}${trial.number} of ${trial.total}`;
    Object.assign(this.at("progress"), { max: trial.total, value: trial.number - 1 });
    this.drawAnswers();
    this.turn(".trial", ".trial");
    this.refresh();
    await this.place();
    if (this.shown !== trial) return;
    await new Promise(requestAnimationFrame);
    if (this.shown !== trial) return;
    this.shownAt = performance.now();
    this.at(".status").textContent = this.at(".count").textContent;
    this.unlock = setTimeout(() => this.refresh(), this.data.minimum + 1);
    this.refresh();
  }

  drawAnswers() {
    const { labels, question } = this.data;
    const signature = labels.join("|");
    if (this.drawn === signature) return;
    this.drawn = signature;
    this.at(".question").textContent = question;
    const buttons = labels.map((label, index) => {
      const button = element("button");
      Object.assign(button, { type: "button", value: index + 1 });
      button.append(element("span", index + 1, "key"), " ", element("span", label, "label"));
      return button;
    });
    this.at(".answers").replaceChildren(...buttons);
  }

  /** Put the pictures of the trial on the stage, once all of them are decoded. */
  async place() {
    const trial = this.shown;
    const addresses = this.lineArt ? [...trial.pictures, trial.lineArt] : trial.pictures;
    const images = await Promise.all(addresses.map((address) => this.load(address)));
    if (this.shown !== trial) return;
    const figures = images.map((found, index) => {
      const image = images.indexOf(found) < index ? found.cloneNode() : found; // two methods may paint alike
      const figure = element("figure");
      const lineArt = index >= trial.pictures.length;
      image.alt = lineArt ? "Line art" : "Colorized picture";
      figure.append(image);
      if (trial.pictures.length > 1) figure.append(element("figcaption", lineArt ? "Line art" : index + 1));
      return figure;
    });
    this.at(".pictures").replaceChildren(...figures);
    this.layOut();
  }

  /** One stored pixel becomes one of the device's, or as many as the zoom says; fewer only where it does not fit. */
  layOut() {
    const [stage, pictures] = [this.at(".stage"), this.at(".pictures")];
    const images = [...pictures.querySelectorAll("img")];
    if (!images.length) return;
    pictures.hidden = true;
    const { row, column } = room(stage, images, pictures.querySelector("figcaption") ? 24 : 0);
    pictures.hidden = false;
    const fit = Math.max(row, column) * devicePixelRatio;
    const scale = this.zoomed ? (fit < 1 ? 1 : Math.max(2, Math.floor(fit))) : Math.min(1, fit);
    stage.classList.toggle("column", column > row && row * devicePixelRatio < scale);
    for (const image of images) {
      image.classList.toggle("smaller", scale < 1);
      image.style.width = `${(image.naturalWidth * scale) / devicePixelRatio}px`;
      image.style.height = `${(image.naturalHeight * scale) / devicePixelRatio}px`;
    }
    images.forEach(align);
    const smaller = `Shown at ${Math.floor(scale * 100)} % of its size, so that it fits. Zoom shows every pixel.`;
    this.at(".scale").textContent = scale < 1 ? smaller : scale > 1 ? `Zoom × ${scale}` : "";
  }

  toggle(what) {
    if (!this.shown) return;
    this[what] = !this[what];
    this.at(".line-art").setAttribute("aria-pressed", this.lineArt);
    this.at(".zoom").setAttribute("aria-pressed", this.zoomed);
    this.place();
  }

  // --- answers ---

  press(event, tools) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    // Streamlit's own keys; and a held Enter, which would press its button again and again.
    if (key === "r" || key === "c") event.stopPropagation();
    if (event.repeat && (key === "enter" || key === " ")) event.preventDefault();
    if (event.repeat) return;
    if (key === "enter" && event.composedPath()[0] === this.at("h1") && !this.at(".go").hidden) this.go();
    if (this.at(".trial").hidden) return;
    if (/^[1-9]$/.test(key)) this.answer(Number(key), event.timeStamp);
    else tools[key]?.();
  }

  answer(score, time) {
    const milliseconds = Math.floor(time - this.shownAt);
    if (this.pending || !(milliseconds >= this.data.minimum) || score > this.data.labels.length) return;
    const next = this.data.upcoming[0];
    this.submit({ kind: "rate", trial: this.shown.key, score, milliseconds });
    if (next) this.proceed(next);
  }

  undo() {
    if (this.data.undo && !this.pending) this.submit({ kind: "undo" });
  }

  submit(what) {
    this.pending = { ...what, event: identifier() };
    remember(this.pending);
    this.post();
  }

  post() {
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.again(), RETRY);
    this.send(this.pending);
    this.refresh();
  }

  async again() {
    this.attempts += 1;
    this.warn();
    if (this.attempts >= PATIENCE && !this.connected() && (await healthy())) location.reload();
    else if (this.pending) this.post();
  }

  // --- how things stand ---

  connected() {
    return this.app?.dataset.testConnectionState === "CONNECTED";
  }

  warn() {
    const gone = this.app && !this.connected();
    let words = "";
    if (this.failing) words = "A picture does not load. Trying again …";
    else if (this.pending && (this.attempts || gone)) words = "Your last answer is not saved yet. Trying again …";
    else if (gone) words = "The connection is lost. What you rated so far is saved. Trying again …";
    else words = this.data.notice;
    if (this.at(".lost").textContent !== words) this.at(".lost").textContent = words;
    this.at(".lost").hidden = !words;
  }

  /** Grey what cannot be pressed at this moment. */
  refresh() {
    const wait = this.data.minimum - (performance.now() - this.shownAt);
    const off = (button, is) => button.setAttribute("aria-disabled", is);
    for (const button of this.at(".answers").children) off(button, !!this.pending || !(wait <= 0));
    for (const name of [".undo", ".undo-last"]) off(this.at(name), !!this.pending || !this.data.undo);
    off(this.at(".go"), !!this.pending);
    const bar = this.at(".wait");
    bar.classList.toggle("running", wait > 0 && wait < Infinity);
    if (wait > 0 && wait < Infinity) bar.firstElementChild.style.animationDuration = `${wait}ms`;
  }

  turn(to, focus) {
    if (!this.at(to).hidden) return;
    for (const name of [".message", ".trial"]) this.at(name).hidden = name !== to;
    this.at(focus).focus({ preventScroll: true });
  }

  // --- pictures ---

  preload() {
    const trials = [this.data.trial, ...(this.data.upcoming ?? [])].filter(Boolean);
    const wanted = new Set(trials.flatMap((trial) => [...trial.pictures, trial.lineArt]));
    for (const address of this.loaded.keys()) if (!wanted.has(address)) this.loaded.delete(address);
    for (const address of trials.flatMap((trial) => trial.pictures)) this.load(address);
  }

  load(address) {
    if (!this.loaded.has(address)) this.loaded.set(address, this.fetch(address));
    return this.loaded.get(address);
  }

  async fetch(address) {
    for (let wait = 500; ; wait = Math.min(2 * wait, 8000)) {
      const image = new Image();
      image.src = address;
      const whole = await image.decode().then(() => true, () => false);
      if (this.failing === whole) {
        this.failing = !whole;
        this.warn();
      }
      if (whole) return image;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

// CSS pixels that there are for a stored pixel, with the pictures in a row and in a column.
function room(stage, images, caption) {
  const [widths, heights] = [images.map((image) => image.naturalWidth), images.map((image) => image.naturalHeight)];
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
  const between = GAP * (images.length - 1);
  const [width, height] = [stage.clientWidth - GAP, stage.clientHeight];
  return {
    row: Math.min((width - between) / sum(widths), (height - caption) / Math.max(...heights)),
    column: Math.min(width / Math.max(...widths), (height - between - caption * images.length) / sum(heights)),
  };
}

// Move the picture by less than a device's pixel, onto their grid.
function align(image) {
  image.style.left = image.style.top = "0";
  const { left, top } = image.getBoundingClientRect();
  const shift = (place) => `${Math.round(place * devicePixelRatio) / devicePixelRatio - place}px`;
  [image.style.left, image.style.top] = [shift(left), shift(top)];
}

function element(name, text = "", style = "") {
  return Object.assign(document.createElement(name), { textContent: text, className: style });
}

// crypto.randomUUID is not there on pages without https.
function identifier() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function remember(pending) {
  if (pending) sessionStorage.setItem(PENDING, JSON.stringify({ where: location.search, pending }));
  else sessionStorage.removeItem(PENDING);
}

function recall() {
  const kept = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  return kept?.where === location.search ? kept.pending : null;
}

async function healthy() {
  const signal = AbortSignal.timeout(2000);
  return fetch("_stcore/health", { cache: "no-store", signal }).then((answer) => answer.ok, () => false);
}
