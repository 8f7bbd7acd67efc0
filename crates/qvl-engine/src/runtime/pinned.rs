//! The official build that is installed: the library in the wheels of PyPI's `onnxruntime` package.

/// The version of ONNX Runtime that [`install`](super::install) fetches.
pub const VERSION: &str = "1.31.1";

/// The library of one platform, as the wheel of that platform holds it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Build {
    /// Operating system and processor, as Rust names them: `linux-x86_64`.
    pub(super) platform: &'static str,
    /// Platform tags of the wheel, for pip.
    pub(super) wheel_tags: &'static [&'static str],
    /// Platform name for uv.
    pub(super) uv_platform: &'static str,
    /// File name of the library, which lies in `onnxruntime/capi/` of the wheel.
    pub(super) file: &'static str,
    /// Size of the library in bytes.
    pub(super) bytes: u64,
    /// SHA-256 of the library in lower-case hexadecimal. It is the same in the wheels of every Python version.
    pub(super) sha256: &'static str,
}

const BUILDS: [Build; 5] = [
    Build {
        platform: "linux-x86_64",
        wheel_tags: &["manylinux_2_28_x86_64", "manylinux_2_27_x86_64"],
        uv_platform: "x86_64-manylinux_2_28",
        file: "libonnxruntime.so.1.31.1",
        bytes: 29_352_200,
        sha256: "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
    },
    Build {
        platform: "linux-aarch64",
        wheel_tags: &["manylinux_2_28_aarch64", "manylinux_2_27_aarch64"],
        uv_platform: "aarch64-manylinux_2_28",
        file: "libonnxruntime.so.1.31.1",
        bytes: 25_265_040,
        sha256: "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
    },
    Build {
        platform: "macos-aarch64",
        wheel_tags: &["macosx_14_0_arm64"],
        uv_platform: "aarch64-apple-darwin",
        file: "libonnxruntime.1.31.1.dylib",
        bytes: 33_037_336,
        sha256: "d586cbe89effc085a09d3341b3cfbd5c322517f9d397aeb20814af21433f2b36",
    },
    Build {
        platform: "windows-x86_64",
        wheel_tags: &["win_amd64"],
        uv_platform: "x86_64-pc-windows-msvc",
        file: "onnxruntime.dll",
        bytes: 19_288_376,
        sha256: "e45f61e50d8650885452be538a00bb14a715e46a1bc3691000ce947e89ed0306",
    },
    Build {
        platform: "windows-aarch64",
        wheel_tags: &["win_arm64"],
        uv_platform: "aarch64-pc-windows-msvc",
        file: "onnxruntime.dll",
        bytes: 19_171_640,
        sha256: "dc9e2fe646a72829386a24ac9185a7a4e26d7dbe5dc433d41df063603c00bbc7",
    },
];

/// Operating system and processor that this program was built for.
pub(super) fn platform() -> String {
    // The wheels need the GNU C library.
    let musl = if cfg!(target_env = "musl") { "-musl" } else { "" };
    format!("{}-{}{musl}", std::env::consts::OS, std::env::consts::ARCH)
}

/// The build for this platform.
pub(super) fn build() -> Option<&'static Build> {
    let platform = platform();
    BUILDS.iter().find(|build| build.platform == platform)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_build_carries_the_version_and_a_whole_hash() {
        for build in &BUILDS {
            assert!(build.file.contains(VERSION) || build.file.ends_with(".dll"), "{build:?}");
            assert!(build.sha256.len() == 64 && build.sha256.bytes().all(|b| b.is_ascii_hexdigit()), "{build:?}");
        }
    }
}
