//! How the process of a hook begins.

/// Defines the `main` of a hook, which runs `$hook`.
///
/// With the GNU C library it is C's `main`: what the standard library does before its own (it reads `/proc/self/maps`
/// for a handler of stack overflows) is a tenth of what starting a process costs. That library also hands the arguments
/// over before `main`; others do not, and get the standard library's.
#[macro_export]
macro_rules! main {
    ($hook:path) => {
        #[cfg(target_env = "gnu")]
        #[expect(unsafe_code, reason = "the name is C's, and there is no other one in the program")]
        #[unsafe(no_mangle)]
        extern "C" fn main() -> ::std::ffi::c_int {
            $crate::as_the_standard_library();
            $hook();
            0
        }

        #[cfg(not(target_env = "gnu"))]
        fn main() {
            $hook();
        }
    };
}
