// Whether a picture file moves. What moves is sent as a video, so that the model sees more than its first frame.

/** @param {Uint8Array} bytes a file */
export function isAnimated(bytes) {
  return isAnimatedGif(bytes) || isAnimatedWebp(bytes);
}

// https://developers.google.com/speed/webp/docs/riff_container#extended_file_format: a VP8X chunk comes first, and says so in a bit.
function isAnimatedWebp(bytes) {
  return ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 16) === "WEBPVP8X" && (bytes[20] & 0x02) !== 0;
}

// https://www.w3.org/Graphics/GIF/spec-gif89a.txt: a second image descriptor makes it an animation.
function isAnimatedGif(bytes) {
  if (!/^GIF8[79]a$/.test(ascii(bytes, 0, 6))) {
    return false;
  }
  let at = 13 + colourTableLength(bytes[10]);
  let images = 0;
  while (at < bytes.length && images < 2) {
    if (bytes[at] === 0x21) {
      at = afterSubBlocks(bytes, at + 2);
    } else if (bytes[at] === 0x2c) {
      images += 1;
      at = afterSubBlocks(bytes, at + 11 + colourTableLength(bytes[at + 9]));
    } else {
      break;
    }
  }
  return images > 1;
}

function colourTableLength(flags) {
  return (flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 0x07) + 1);
}

// Each sub-block has its length before it; one of length zero is the last.
function afterSubBlocks(bytes, from) {
  let at = from;
  while (bytes[at] > 0) {
    at += bytes[at] + 1;
  }
  return at + 1;
}

function ascii(bytes, from, to) {
  return String.fromCharCode(...bytes.subarray(from, to));
}
