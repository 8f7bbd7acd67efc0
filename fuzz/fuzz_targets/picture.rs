//! Any bytes as a picture and as an animation: an error or pixels, within small limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qvl_processor::{ImageLimits, decode_frames, decode_image};

fuzz_target!(|bytes: &[u8]| {
    let limits = ImageLimits {
        max_file_bytes: 1 << 20,
        max_pixels: 1 << 20,
        max_decoder_bytes: 64 << 20,
        max_frames: 16,
        max_animation_pixels: 1 << 20,
    };
    let _ = decode_image(bytes, &limits);
    let _ = decode_frames(bytes, &limits);
});
