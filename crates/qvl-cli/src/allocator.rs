//! How the C library's allocator gives memory back.

/// Sets glibc's M_MMAP_THRESHOLD: buffers from 256 KiB on are maps of their own, which go back to the system when they are freed.
/// To be called before there are other threads.
///
/// By itself the threshold rises to the size of every larger buffer that is freed, up to 32 MiB (mallopt(3)). After one large picture
/// the next ones lie in the arenas of the threads that work on them, between small things that stay: a server grew for twenty
/// minutes, to twice what it holds. A threshold that was set does not rise. It costs page faults, 2 % of the time that a picture
/// takes with the 4B model; what runs for one answer is better off without.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn give_large_buffers_back() {
    const BYTES: libc::c_int = 256 << 10;
    // SAFETY: the function takes two numbers, and no other thread runs yet. Where it fails, all is as it was.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, BYTES) };
}

/// Other allocators do not need to be told.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_large_buffers_back() {}
