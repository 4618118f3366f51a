//! Takes secrets out of text before it is stored, logged or sent.
//!
//! Deliberately blunt: a word that looks like a credential is replaced, even at the price of hiding an innocent
//! one. Linear in the length of the text, and done twice it changes nothing more.

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Well-known beginnings of credentials.
const PREFIXES: [&str; 26] = [
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "pk_live_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "eyJ",
    "npm_",
    "hf_",
    "SG.",
    "whsec_",
    "xapp-",
    "pypi-",
];
/// Shortest word that a prefix alone makes a secret.
const MIN_PREFIXED_CHARS: usize = 16;
/// Shortest word without spaces that mixes letters and digits so that it counts as a key.
const MIN_RANDOM_CHARS: usize = 40;
/// Ends of names whose value is a secret when it follows `=` or `:`, in lower case.
const SECRET_NAMES: [&str; 15] = [
    "password",
    "passwd",
    "passphrase",
    "_pass",
    "-pass",
    "pwd",
    "secret",
    "token",
    "_key",
    "-key",
    "apikey",
    "accountkey",
    "credential",
    "credentials",
    "authorization",
];
/// What the words before say about the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Nothing,
    /// A secret's name was read: `=` or `:` may follow.
    Sign,
    /// The next word is a secret's value.
    Value,
}

/// `text` with everything that looks like a credential replaced by [`REDACTED`].
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_pem = false;
    for line in text.split_inclusive('\n') {
        if line.contains("-----BEGIN ") && line.contains("PRIVATE KEY") {
            in_pem = true;
            out.push_str(REDACTED);
            out.push('\n');
        }
        if in_pem {
            in_pem = !line.contains("-----END ");
        } else {
            redact_line(line, &mut out);
        }
    }
    out
}

fn redact_line(mut rest: &str, out: &mut String) {
    let mut expect = Expect::Nothing;
    while let Some(first) = rest.chars().next() {
        // A value may hold signs: `key=a:b==`. It does not begin with one: a row of them is read once.
        let is_end = |symbol| is_separator(symbol) || (expect != Expect::Value && is_sign(symbol));
        // All of them are ASCII: no byte of another sign is taken for one.
        let end = if is_sign(first) { Some(0) } else { rest.bytes().position(|byte| is_end(char::from(byte))) };
        let word = &rest[..end.unwrap_or(rest.len())];
        // The next piece: so much of it stays, the rest of it is a secret; and what to expect after it.
        let (mut stays, mut length, mut next) = (word.len(), word.len(), Expect::Nothing);
        if rest.starts_with(REDACTED) {
            (stays, length) = (REDACTED.len(), REDACTED.len());
        } else if rest.starts_with("::") {
            // `token::Kind` is a path.
            (stays, length) = (2, 2);
        } else if is_sign(first) || is_separator(first) {
            (stays, length) = (1, 1);
            next = if expect == Expect::Sign && is_sign(first) { Expect::Value } else { expect };
            if expect == Expect::Value
                && matches!(first, '"' | '\'')
                && let Some(quoted) = rest[1..].find(first)
            {
                (length, next) = (1 + quoted, Expect::Nothing);
            }
        } else if is(word, "bearer") || (expect == Expect::Value && (is(word, "basic") || is(word, "token"))) {
            next = Expect::Value;
        } else if expect == Expect::Value || looks_secret(word) {
            stays = 0;
        } else if let Some(login) = login(rest) {
            (stays, length) = (2, 2 + login);
        } else if names_secret(word) {
            next = if word.starts_with("--") { Expect::Value } else { Expect::Sign };
        }
        out.push_str(&rest[..stays]);
        if stays < length {
            out.push_str(REDACTED);
        }
        rest = &rest[length..];
        expect = next;
    }
}

const fn is_sign(symbol: char) -> bool {
    matches!(symbol, '=' | ':')
}

const fn is_separator(symbol: char) -> bool {
    matches!(
        symbol,
        ' ' | '\t' | '\r' | '\n' | '"' | '\'' | '`' | ',' | ';' | '(' | ')' | '<' | '>' | '[' | ']' | '{' | '}' | '\\'
    )
}

fn is(word: &str, name: &str) -> bool {
    word.eq_ignore_ascii_case(name)
}

/// Whether a word ends with the name of a secret. Most words do not even end with the last letters of one.
fn names_secret(word: &str) -> bool {
    let Some(last) = word.as_bytes().last_chunk::<3>() else { return false };
    let is_end = matches!(
        &last.map(|byte| byte.to_ascii_lowercase()),
        b"ord" | b"swd" | b"ase" | b"ass" | b"pwd" | b"ret" | b"ken" | b"key" | b"ial" | b"als" | b"ion"
    );
    is_end && SECRET_NAMES.iter().any(|name| ends_with(word, name))
}

fn ends_with(word: &str, end: &str) -> bool {
    word.len().checked_sub(end.len()).is_some_and(|at| word.as_bytes()[at..].eq_ignore_ascii_case(end.as_bytes()))
}

/// How long the login of `//user:password@host` is.
fn login(rest: &str) -> Option<usize> {
    let rest = rest.strip_prefix("//")?;
    let host = &rest[..rest.find(|symbol| is_separator(symbol) || symbol == '/').unwrap_or(rest.len())];
    let login = &host[..host.rfind('@')?];
    (login.contains(':') || looks_secret(login)).then_some(login.len())
}

fn looks_secret(word: &str) -> bool {
    let prefixed = word.len() >= MIN_PREFIXED_CHARS && PREFIXES.iter().any(|prefix| word.starts_with(prefix));
    prefixed || looks_random(word)
}

/// Long, of one alphabet, mixing cases and digits: a key. Paths and hexadecimal ids (git, UUID) are not.
fn looks_random(word: &str) -> bool {
    if word.len() < MIN_RANDOM_CHARS || !word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/_-.".contains(&b)) {
        return false;
    }
    let has = |test: fn(&u8) -> bool| word.bytes().any(|byte| test(&byte));
    let path_like = word.starts_with(['/', '.']) || word.matches('/').count() > 2;
    has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit) && !path_like
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[test]
    fn each_name_of_a_secret_is_one() {
        for name in SECRET_NAMES {
            assert!(names_secret(name) && names_secret(&name.to_uppercase()), "{name}");
        }
        assert!(!names_secret("action") && !names_secret("ey") && !names_secret(""));
    }

    #[rstest]
    #[case("key is sk-a1b2c3d4e5f6a7b8 ok", "key is [redacted] ok")]
    #[case("export API_KEY=hunter2", "export API_KEY=[redacted]")]
    #[case("password: hunter2 next", "password: [redacted] next")]
    #[case("Authorization: Bearer abcd1234", "Authorization: Bearer [redacted]")]
    #[case("https://me:pw@host/x", "https://[redacted]@host/x")]
    #[case("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nafter", "[redacted]\nafter")]
    #[case("a ghp_0123456789abcdef\r\nb", "a [redacted]\r\nb")]
    #[case(r#"{"password": "x", "user": "me"}"#, r#"{"password": "[redacted]", "user": "me"}"#)]
    #[case(r#"{"password":"","user":"me"}"#, r#"{"password":"","user":"me"}"#)]
    #[case(r#"{\"password\": \"hunter2\"}"#, r#"{\"password\": \"[redacted]"}"#)]
    #[case("password = hunter2 ok", "password = [redacted] ok")]
    #[case("password=a:b=c ok", "password=[redacted] ok")]
    #[case("login --password hunter2 --user me", "login --password [redacted] --user me")]
    #[case("--token=abc", "--token=[redacted]")]
    #[case(
        "OPENAI_KEY=abc SIGNING_KEY: abc credentials=abc",
        "OPENAI_KEY=[redacted] SIGNING_KEY: [redacted] credentials=[redacted]"
    )]
    #[case("whsec_0123456789abcdef xapp-1-0123456789", "[redacted] [redacted]")]
    #[case("the key: see keys.md, monkey=1", "the key: see keys.md, monkey=1")]
    #[case("db_pass=hunter2 pwd=hunter2", "db_pass=[redacted] pwd=[redacted]")]
    #[case("Passphrase: hunter2", "Passphrase: [redacted]")]
    #[case("AccountKey=hunter2==;x", "AccountKey=[redacted];x")]
    #[case("'Authorization: Basic aHVudGVyMg=='", "'Authorization: Basic [redacted]'")]
    #[case("password=\"two words\" next", "password=\"[redacted]\" next")]
    #[case("password: 'two words' next", "password: '[redacted]' next")]
    #[case("hf_abcdefghijklmnop SG.abcdefghijklmnop.qrst", "[redacted] [redacted]")]
    #[case("postgres://bob:a:b@db/x?y", "postgres://[redacted]@db/x?y")]
    #[case("https://ghp_0123456789abcdef@github.com/x", "https://[redacted]@github.com/x")]
    #[case("password=[redacted] token: [redacted]", "password=[redacted] token: [redacted]")]
    #[case("x wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYabcdEF12 y", "x [redacted] y")]
    fn secrets_go(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(redact(text), expected);
    }

    #[rstest]
    #[case("commit 0123456789abcdef0123456789abcdef01234567 in docs/plan.md")]
    #[case("Next step: write the token parser, then the tests.")]
    #[case("All tests pass: 14 passed, none failed.")]
    #[case("A basic parser, a token parser and auth::token::Kind.")]
    #[case("git@github.com:me/repo and ssh://git@host/repo, mailto:me@host")]
    #[case("/home/dev/Projects2/some/very/long/path/that/goes/on/and/on.rs")]
    fn ordinary_text_stays(#[case] text: &str) {
        assert_eq!(redact(text), text);
    }

    /// What redacting `text` over and over costs in processor time of this thread, behind a name that makes all of it a
    /// value; the best of three.
    fn redacting(text: &str, length: usize) -> std::time::Duration {
        let text = format!("password={}", text.repeat(length / text.len()));
        let now = || {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            std::time::Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
        };
        let once = || {
            let begin = now();
            assert!(!redact(&text).is_empty());
            now().saturating_sub(begin)
        };
        (0..3).map(|_| once()).min().unwrap_or_default()
    }

    #[test]
    fn redacting_takes_linear_time_whatever_the_text() {
        for text in [
            "=",
            ":",
            "::",
            "=:",
            "'",
            "\"",
            "'\"",
            "= ",
            "a=",
            "//",
            "//a:",
            "//a:b@",
            "@",
            "[",
            REDACTED,
            "[redacted",
            "-",
            "\n",
        ] {
            // Eight times the text may take eight times as long; were it quadratic, it would take 64 times.
            let (small, large) = (redacting(text, 4_000), redacting(text, 32_000));
            let least = std::time::Duration::from_millis(1);
            assert!(large < small.max(least) * 30, "{text:?}: {small:?}, then {large:?}");
        }
    }

    proptest! {
        #[test]
        fn redacting_twice_is_redacting_once(
            text in "\\PC{0,60}|([ :=/@\"'\n,\\[\\]\\\\-]|password|--token|Bearer|Basic|sk-0123456789abcdef|//a:b@|\\[redacted\\]|ab|://|::){0,24}"
        ) {
            let once = redact(&text);
            prop_assert_eq!(redact(&once), once);
        }
    }
}
