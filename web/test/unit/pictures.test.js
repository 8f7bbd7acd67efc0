import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { isAnimated } from "../../page/js/animated.js";
import { pictureType } from "../../page/js/attachments.js";

const repository = new URL("../../../", import.meta.url);
const file = (path) => readFileSync(new URL(path, repository));

test("clips move, pictures do not", () => {
  const clips = readdirSync(new URL("demo/calibration/clips", repository));
  assert.ok(clips.length > 0);
  for (const clip of clips) {
    assert.ok(isAnimated(file(`demo/calibration/clips/${clip}`)), clip);
  }
  for (const picture of readdirSync(new URL("examples/pictures", repository))) {
    assert.ok(!isAnimated(file(`examples/pictures/${picture}`)), picture);
  }
});

test("a GIF of one frame, and one that is cut", () => {
  const clip = file("demo/calibration/clips/clip-0001.gif");
  assert.ok(!isAnimated(clip.subarray(0, 20)));
  assert.ok(!isAnimated(new Uint8Array()));
  // A frame of one pixel without colour tables: descriptor, code size, a sub-block of one byte, its end.
  const frame = [0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 1, 0, 0];
  const head = [..."GIF89a"].map((letter) => letter.charCodeAt(0)).concat(1, 0, 1, 0, 0, 0, 0);
  assert.ok(!isAnimated(Uint8Array.from([...head, ...frame, 0x3b])));
  assert.ok(isAnimated(Uint8Array.from([...head, ...frame, ...frame, 0x3b])));
});

test("an extended WebP says in a bit whether it moves", () => {
  const head = [..."RIFF\0\0\0\0WEBPVP8X\n\0\0\0"].map((letter) => letter.charCodeAt(0));
  assert.ok(isAnimated(Uint8Array.from([...head, 0x02, 0, 0, 0])));
  assert.ok(!isAnimated(Uint8Array.from([...head, 0x10, 0, 0, 0])));
});

test("the type of a file is its own, or its name's where the system does not know", () => {
  assert.equal(pictureType({ name: "a.PNG", type: "image/png" }), "image/png");
  assert.equal(pictureType({ name: "scan.TIF", type: "" }), "image/tiff");
  assert.equal(pictureType({ name: "a.png", type: "text/html" }), null);
  assert.equal(pictureType({ name: "a.svg", type: "image/svg+xml" }), null);
  assert.equal(pictureType({ name: "notes", type: "" }), null);
});
