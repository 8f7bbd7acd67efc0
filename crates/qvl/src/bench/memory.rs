//! The peak of resident memory, weights that are mapped into it included.

use std::fs;

/// Forgets the peak so far; whether the system can do that. What was freed before does not count; libraries that an
/// earlier engine loaded do, some tens of MiB.
///
/// On Linux, 5 written to `clear_refs` sets the peak back to what is resident now (proc_pid_clear_refs(5)).
pub(super) fn reset_peak() -> bool {
    return_freed();
    cfg!(target_os = "linux") && fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Returns memory to the system that the allocator kept for later.
fn return_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim(3) takes any number, may be called by any thread, and leaves what is allocated as it is.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The peak in bytes, since the start of the process or the last reset; none where it is not known.
#[cfg(target_os = "linux")]
pub(super) fn peak_resident_bytes() -> Option<u64> {
    peak_of_status(&fs::read_to_string("/proc/self/status").ok()?)
}

/// The line `VmHWM: 1234 kB` of `/proc/PID/status`, where kB are 1024 bytes (proc_pid_status(5)).
#[cfg(target_os = "linux")]
fn peak_of_status(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    value.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(all(unix, not(target_os = "linux")))]
pub(super) fn peak_resident_bytes() -> Option<u64> {
    use nix::sys::resource::{UsageWho, getrusage};
    let peak = u64::try_from(getrusage(UsageWho::RUSAGE_SELF).ok()?.max_rss()).ok()?;
    // Apple's getrusage(2) counts bytes, all others kilobytes.
    if cfg!(target_vendor = "apple") { Some(peak) } else { peak.checked_mul(1024) }
}

#[cfg(not(unix))]
pub(super) fn peak_resident_bytes() -> Option<u64> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read() {
        assert_eq!(peak_of_status("Name:\tqvl\nVmHWM:\t  321 kB\nVmRSS:\t  12 kB\n"), Some(321 * 1024));
        assert_eq!(peak_of_status("Name:\tqvl\n"), None);
        assert_eq!(peak_of_status("VmHWM:\tmany kB\n"), None);
        assert!(peak_resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
