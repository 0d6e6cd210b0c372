// The canvas of `lacbench try`: strokes over a line art, kept as a list so that they can be undone, and painted
// at the line art's own size. What is saved and what is sent is the same PNG.

const SWATCHES = {
  Skin: "#f2c4a2", Red: "#d43d3d", Orange: "#f08c2e", Yellow: "#f5d547", Green: "#4f9d55", Blue: "#3d76c9",
  Violet: "#8a5fb5", Brown: "#6b4632", Black: "#2b2b2b", White: "#ffffff",
};
const STEP = 1 / 50; // part of the shortest side that an arrow key moves the brush by
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const ERASER_OF_A_PEN = 32; // its bit in PointerEvent.buttons

export default function (component) {
  const root = component.parentElement.querySelector(".easel");
  root.easel ??= new Easel(root);
  root.easel.receive(component.data, (event) => component.setTriggerValue("event", event));
}

class Easel {
  constructor(root) {
    this.root = root;
    this.at = (selector) => root.querySelector(selector);
    this.canvas = this.at("canvas");
    this.context = this.canvas.getContext("2d");
    this.kept = new Map(); // picture's key → its strokes
    this.strokes = [];
    this.pointer = null;
    this.place = null; // where the keyboard's brush is
    this.erasing = false;
    this.makeTools();
    this.listen();
  }

  makeTools() {
    for (const [name, color] of Object.entries(SWATCHES)) {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", title: name, value: color, onclick: () => this.choose(color) });
      button.setAttribute("aria-label", name);
      button.style.background = color;
      this.at(".swatches").append(button);
    }
    this.at("[type=color]").oninput = (event) => this.choose(event.target.value);
    this.at("[type=range]").oninput = () => this.showTools();
    this.at(".eraser").onclick = () => this.choose(this.at("[type=color]").value, !this.erasing);
    this.at(".undo").onclick = () => this.undo();
    this.at(".clear").onclick = () => this.strokes.at(-1) !== null && this.strokes.length && this.add(null);
    this.at(".go").onclick = () => this.go();
    this.at(".save-strokes").onclick = () => this.save();
  }

  listen() {
    const canvas = this.canvas;
    canvas.onpointerdown = (event) => this.start(event);
    canvas.onpointermove = (event) => this.goOn(event);
    canvas.onpointerup = canvas.onpointercancel = (event) => this.end(event);
    canvas.onkeydown = (event) => this.press(event);
    canvas.onblur = () => (this.at(".cursor").hidden = true);
  }

  // --- what the server says ---

  receive(data, send) {
    const first = this.data?.picture.key !== data.picture.key;
    [this.data, this.send] = [data, send];
    if (first) this.lay(data.picture, data.brush);
    if (this.waiting === data.ack) this.waiting = null;
    this.at(".note").textContent = data.note;
    this.at(".alert").textContent = data.notice;
    this.showOutput(data.output);
    this.showTools();
  }

  lay(picture, brush) {
    const { key, src, width, height, title } = picture;
    if (!this.kept.has(key)) this.kept.set(key, []);
    this.strokes = this.kept.get(key);
    this.place = this.pointer = null;
    Object.assign(this.canvas, { width, height });
    this.canvas.setAttribute("aria-label", `Canvas over the line art ${title}`);
    this.root.style.setProperty("--ratio", width / height);
    this.at(".line-art").src = src;
    const { least: min, most: max, start: value } = brush;
    Object.assign(this.at("[type=range]"), { min, max, value });
    this.redraw();
  }

  showOutput(output) {
    const image = this.at(".output");
    const link = this.at(".save-output");
    const fresh = output && !image.src.endsWith(output.src);
    image.hidden = link.hidden = !output;
    const busy = Boolean(this.waiting);
    this.root.classList.toggle("busy", busy);
    this.at(".empty").textContent = output ? "" : busy ? "Colouring …" : "The output comes here.";
    this.at(".made").textContent = busy ? "Colouring …" : output ? `Coloured by ${this.data.model}` : "";
    if (busy) return this.say("Colouring");
    if (!output) return;
    const { id, title } = this.data.picture;
    image.alt = `${title}, coloured by ${this.data.model}`;
    image.src = link.href = output.src;
    link.download = `${id}-coloured.png`;
    if (fresh) this.say("The output is there");
  }

  // --- tools ---

  choose(color, erasing = false) {
    this.at("[type=color]").value = color;
    this.erasing = erasing;
    this.showTools();
  }

  showTools() {
    const color = this.at("[type=color]").value;
    for (const button of this.at(".swatches").children)
      button.setAttribute("aria-pressed", !this.erasing && button.value === color);
    this.at(".eraser").setAttribute("aria-pressed", this.erasing);
    this.at(".size .width").textContent = `${this.at("[type=range]").value} px`;
    for (const name of [".undo", ".clear", ".save-strokes"])
      this.at(name).setAttribute("aria-disabled", !this.strokes.length);
    this.at(".go").setAttribute("aria-disabled", Boolean(this.waiting));
    this.showCursor();
  }

  say(words) {
    this.at(".status").textContent = words;
  }

  // --- painting ---

  stroke(erase, place) {
    const width = Number(this.at("[type=range]").value);
    return { color: this.at("[type=color]").value, width, erase, points: [place] };
  }

  add(stroke) {
    this.strokes.push(stroke); // null takes away all before it
    this.redraw();
    this.showTools();
  }

  undo() {
    if (!this.strokes.length || this.pointer !== null) return;
    this.strokes.pop();
    this.redraw();
    this.showTools();
    this.say("Undone");
  }

  redraw() {
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (const stroke of this.strokes.slice(this.strokes.lastIndexOf(null) + 1))
      stroke.points.forEach((_, number) => this.draw(stroke, number));
  }

  // Each piece by itself, so that a stroke that is drawn anew has the very pixels that it had when it grew.
  draw({ color, width, erase, points }, number) {
    const context = this.context;
    context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    Object.assign(context, { fillStyle: color, strokeStyle: color, lineWidth: width, lineCap: "round" });
    context.beginPath();
    if (number === 0) {
      context.arc(...points[0], width / 2, 0, 2 * Math.PI); // a line of no length would leave no mark
      return context.fill();
    }
    context.moveTo(...points[number - 1]);
    context.lineTo(...points[number]);
    context.stroke();
  }

  placeOf(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * this.canvas.width,
      ((event.clientY - box.top) / box.height) * this.canvas.height,
    ];
  }

  start(event) {
    if (this.pointer !== null || (event.pointerType === "mouse" && event.button !== 0)) return;
    this.pointer = event.pointerId; // a second finger paints nothing
    this.canvas.setPointerCapture(event.pointerId);
    this.at(".cursor").hidden = true;
    this.add(this.stroke(this.erasing || Boolean(event.buttons & ERASER_OF_A_PEN), this.placeOf(event)));
  }

  goOn(event) {
    if (event.pointerId !== this.pointer) return;
    const stroke = this.strokes.at(-1);
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const one of passed.length ? passed : [event]) {
      stroke.points.push(this.placeOf(one));
      this.draw(stroke, stroke.points.length - 1);
    }
  }

  end(event) {
    if (event.pointerId === this.pointer) this.pointer = null;
  }

  // --- without a mouse ---

  press(event) {
    const arrow = ARROWS[event.key];
    if (arrow) this.move(arrow, event.shiftKey);
    else if (event.key === " ") this.dab();
    else if (event.key === "Enter") this.go();
    else if (event.key === "z" && (event.ctrlKey || event.metaKey)) this.undo();
    else return;
    event.preventDefault();
  }

  move([right, down], painting) {
    const { width, height } = this.canvas;
    const step = Math.min(width, height) * STEP;
    const from = (this.place ??= [width / 2, height / 2]);
    this.place = [
      Math.min(width - 1, Math.max(0, from[0] + right * step)),
      Math.min(height - 1, Math.max(0, from[1] + down * step)),
    ];
    if (painting) {
      const stroke = this.stroke(this.erasing, from);
      stroke.points.push(this.place);
      this.add(stroke);
    }
    this.showCursor(true);
    const shares = [this.place[0] / width, this.place[1] / height].map((part) => Math.round(100 * part));
    this.say(`${shares[0]}% from the left, ${shares[1]}% from the top`);
  }

  dab() {
    this.place ??= [this.canvas.width / 2, this.canvas.height / 2];
    this.add(this.stroke(this.erasing, this.place));
    this.showCursor(true);
    this.say(this.erasing ? "Erased" : "Dabbed");
  }

  showCursor(shown = !this.at(".cursor").hidden) {
    const cursor = this.at(".cursor");
    cursor.hidden = !shown || !this.place;
    if (cursor.hidden) return;
    const { width, height } = this.canvas;
    const side = `${(100 * this.at("[type=range]").value) / width}%`;
    Object.assign(cursor.style, { left: `${(100 * this.place[0]) / width}%`, width: side });
    Object.assign(cursor.style, { top: `${(100 * this.place[1]) / height}%`, height: "auto", aspectRatio: "1" });
  }

  // --- out ---

  painted() {
    return this.strokes.length > this.strokes.lastIndexOf(null) + 1;
  }

  go() {
    if (this.waiting) return;
    this.waiting = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`; // plain http has no randomUUID
    const strokes = this.painted() ? this.canvas.toDataURL("image/png") : null;
    this.at(".alert").textContent = "";
    this.showOutput(this.data.output);
    this.showTools();
    this.send({ event: this.waiting, picture: this.data.picture.key, strokes });
  }

  save() {
    if (!this.painted()) return this.say("Nothing is painted yet");
    const link = document.createElement("a");
    Object.assign(link, { href: this.canvas.toDataURL("image/png"), download: `${this.data.picture.id}.png` });
    link.click();
  }
}
