//! Names that a function cannot have.
//!
//! The name of an export is also its symbol for the linker. A function called `log` would be
//! called by `f64::ln`, and one called `write` by the C library, and neither the compiler nor the linker would warn.

/// The reason why a function cannot have this name, and the next step.
pub(crate) fn refused(name: &str) -> Option<String> {
    if name.starts_with("__") {
        Some(format!(
            "the server hides names that begin with two underscores: call `{name}` something else"
        ))
    } else if matches!(
        name,
        "_initialize" | "_start" | "iof_prime" | "main" | "memory" | "allocate" | "deallocate"
    ) {
        Some(format!(
            "`{name}` means something else to the server: give the function another name"
        ))
    } else if C.split_ascii_whitespace().any(|taken| taken == name) {
        Some(format!(
            "`{name}` is a function of the C library, whose callers would find yours instead: give it a longer name, \
             such as `{name}_it`"
        ))
    } else {
        None
    }
}

/// The symbols that the standard library, the C library of WASI and compiled arithmetic call: the undefined symbols of
/// the objects that Rust links for `wasm32-wasip1`, and those to which LLVM generates calls.
const C: &str = "
    abort acos acosf acosh aligned_alloc asctime asctime_r asin asinf asinh atan atan2 atan2f atan2l atanf
    atanl atoi bcmp btowc cabs cabsf cabsl cacos cacosf cacosl calloc carg cargf cargl casin casinf casinl
    catan catanf catanl cbrt cbrtf ccosh ccoshf ccoshl ceil ceilf cexp cexpf cexpl chdir chmod clearenv clock
    clock_gettime clock_nanosleep clog clogf clogl close closedir cos cosf cosh coshf cosl csinh csinhf csinhl
    csqrt csqrtf csqrtl ctanh ctanhf ctanhl dirfd dprintf ecvt environ erf erfc errno exit exp exp2 exp2f
    exp2l expf expm1 expm1f fabs fabsf fchmod fclose fcntl fdclosedir fdopendir feclearexcept fegetenv
    fegetround feraiseexcept ferror fesetenv fesetround fetestexcept fflush fgets fgetwc floor floorf fma fmaf
    fmax fmaxf fmin fminf fmod fmodf fnmatch fopen fpathconf fprintf fputc fputs fputwc fread free frexp
    frexpl fscanf fstat fstatat fsync ftruncate futimens fwide fwrite getcwd getdelim getenv getline getopt
    getwc hypot hypotf hypotl ilogb ilogbf ilogbl inet_addr isalnum isatty isblank iswalnum iswalpha iswblank
    iswcntrl iswctype iswgraph iswlower iswprint iswpunct iswspace iswupper iswxdigit j0 j0f j1 j1f ldexp
    lgamma lgamma_r linkat localtime localtime_r log log10 log1p log1pf log1pl log2 logf logl lseek lstat
    malloc mblen mbrtowc mbsinit mbsnrtowcs mbsrtowcs mbstowcs mbtowc memchr memcmp memcpy memmove memset
    mkdir modf modff modfl nanosleep nearbyint nextafterl nl_langinfo ntohl open openat opendir optarg opterr
    optind optopt poll posix_memalign pow powl pread printf pselect pthread_attr_destroy pthread_attr_init
    pthread_attr_setstacksize pthread_create pthread_detach pthread_join pthread_mutex_lock
    pthread_rwlock_rdlock pthread_rwlock_wrlock pthread_testcancel putc putchar puts pwrite qsort raise read
    readdir readlink readv realloc realpath remquo remquof remquol rename rint rintf rintl rmdir round roundf
    roundl sbrk scalbn scalbnf scalbnl scandir scanf sched_yield seed48 setenv setvbuf signal sin sinf sinh
    sinhf sinl sleep snprintf sprintf sqrt sqrtf sqrtl stat strcat strchr strcmp strcoll strcpy strcspn strdup
    strerror strerror_r strlcpy strlen strncasecmp strncmp strncpy strnlen strptime strrchr strspn strtod
    strtof strtold strtoul strverscmp symlink sysconf tan tanf tanh tgamma time tolower towlower towupper
    trunc truncf uname ungetc ungetwc unlink unlinkat unsetenv usleep utimensat vasprintf vdprintf vfprintf
    vfscanf vfwprintf vfwscanf vscanf vsnprintf vsprintf vsscanf vswprintf vswscanf vwprintf vwscanf wcrtomb
    wcscasecmp wcschr wcscmp wcscpy wcscspn wcslen wcsncasecmp wcsncpy wcsnlen wcsrtombs wcsspn wcsstr wcstoul
    wctomb wctype wcwidth wmemchr wmemcmp wmemcpy wmemset write writev y0 y0f y1 y1f
";

#[cfg(test)]
mod tests {
    use super::refused;

    #[test]
    fn only_names_that_other_code_calls_are_refused() {
        for name in [
            "hello",
            "send",
            "send_email",
            "remove",
            "search",
            "run",
            "get",
        ] {
            assert_eq!(refused(name), None, "{name}");
        }
        assert_eq!(
            refused("log").as_deref(),
            Some(
                "`log` is a function of the C library, whose callers would find yours instead: give it a longer name, \
                 such as `log_it`"
            )
        );
        assert_eq!(
            refused("_start").as_deref(),
            Some("`_start` means something else to the server: give the function another name")
        );
        assert_eq!(
            refused("__hidden").as_deref(),
            Some(
                "the server hides names that begin with two underscores: call `__hidden` something else"
            )
        );
    }
}
