//! Takes secrets out of text before it is stored, logged or sent.
//!
//! Deliberately blunt: a word that looks like a credential is replaced, even at the price of hiding an innocent
//! one. Linear in the length of the text.

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Well-known beginnings of credentials.
const PREFIXES: [&str; 21] = [
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
];
/// Shortest word that a prefix alone makes a secret.
const MIN_PREFIXED_CHARS: usize = 16;
/// Shortest word without spaces that mixes letters and digits so that it counts as a key.
const MIN_RANDOM_CHARS: usize = 40;
/// Names whose value is a secret when it follows `=` or `:`.
const SECRET_NAMES: [&str; 9] =
    ["password", "passwd", "secret", "token", "api_key", "apikey", "api-key", "access_key", "private_key"];

/// `text` with everything that looks like a credential replaced by [`REDACTED`].
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut value_follows = false;
    let mut in_pem = false;
    for line in text.split_inclusive('\n') {
        if line.contains("-----BEGIN ") && line.contains("PRIVATE KEY") {
            in_pem = true;
            out.push_str(REDACTED);
            out.push('\n');
        }
        if in_pem {
            in_pem = !line.contains("-----END ");
            continue;
        }
        for piece in line.split_inclusive(is_separator) {
            let word = piece.trim_end_matches(is_separator);
            let rest = &piece[word.len()..];
            if word.is_empty() {
                out.push_str(piece);
                continue;
            }
            out.push_str(&redact_word(word, value_follows));
            out.push_str(rest);
            value_follows = word.eq_ignore_ascii_case("bearer") || ends_with_secret_name(word);
        }
        value_follows = false;
    }
    out
}

const fn is_separator(symbol: char) -> bool {
    matches!(
        symbol,
        ' ' | '\t' | '\r' | '\n' | '"' | '\'' | '`' | ',' | ';' | '(' | ')' | '<' | '>' | '[' | ']' | '{' | '}'
    )
}

/// `token:` or `"password" =` style endings, whose value is the next word.
fn ends_with_secret_name(word: &str) -> bool {
    let name = word.trim_end_matches([':', '=']);
    name.len() < word.len() && is_secret_name(name)
}

fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| lower.ends_with(secret))
}

fn redact_word(word: &str, value_follows: bool) -> String {
    if value_follows && word.len() >= 4 {
        return REDACTED.to_owned();
    }
    if let Some(split) = word.find(['=', ':']) {
        let (name, value) = word.split_at(split);
        let value = &value[1..];
        if is_secret_name(name) && !value.is_empty() {
            return format!("{}{REDACTED}", &word[..=split]);
        }
        // `https://user:password@host`
        if let Some((login, host)) = value.strip_prefix("//").and_then(|rest| rest.split_once('@'))
            && login.contains(':')
        {
            return format!("{name}://{REDACTED}@{host}");
        }
        if looks_secret(value) {
            return format!("{}{REDACTED}", &word[..=split]);
        }
    }
    if looks_secret(word) { REDACTED.to_owned() } else { word.to_owned() }
}

fn looks_secret(word: &str) -> bool {
    let prefixed = word.len() >= MIN_PREFIXED_CHARS && PREFIXES.iter().any(|prefix| word.starts_with(prefix));
    prefixed || looks_random(word)
}

/// Long, of one alphabet, mixing cases and digits: a key. Paths and hexadecimal ids (git, UUID) are not.
fn looks_random(word: &str) -> bool {
    if word.len() < MIN_RANDOM_CHARS || !word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=_-.".contains(&b)) {
        return false;
    }
    let has = |test: fn(&u8) -> bool| word.bytes().any(|byte| test(&byte));
    let path_like = word.starts_with(['/', '.']) || word.matches('/').count() > 2;
    has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit) && !path_like
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("key is sk-a1b2c3d4e5f6a7b8 ok", "key is [redacted] ok")]
    #[case("export API_KEY=hunter2", "export API_KEY=[redacted]")]
    #[case("password: hunter2 next", "password: [redacted] next")]
    #[case("Authorization: Bearer abcd1234", "Authorization: Bearer [redacted]")]
    #[case("https://me:pw@host/x", "https://[redacted]@host/x")]
    #[case("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nafter", "[redacted]\nafter")]
    #[case("x wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYabcdEF12 y", "x [redacted] y")]
    fn secrets_go(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(redact(text), expected);
    }

    #[rstest]
    #[case("commit 0123456789abcdef0123456789abcdef01234567 in docs/plan.md")]
    #[case("Next step: write the token parser, then the tests.")]
    #[case("/home/dev/Projects2/some/very/long/path/that/goes/on/and/on.rs")]
    fn ordinary_text_stays(#[case] text: &str) {
        assert_eq!(redact(text), text);
    }
}
