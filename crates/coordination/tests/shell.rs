//! What holds for whatever a call says: no panic, no more time than its length is worth, and nothing seen in what is quoted.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use stopgate_coordination::fence::{Around, FileLinks, Intent, NoLinks, read};
use stopgate_core::harness::Harness;

fn around() -> Around<'static> {
    Around { cwd: Path::new("/w/shop"), home: Some(Path::new("/home/dev")), links: &NoLinks }
}

fn of(command: &str) -> Intent {
    read(Harness::Claude, "Bash", &json!({"command": command}), &around())
}

fn paths(intent: &Intent) -> Vec<&str> {
    intent.writes.iter().filter_map(|target| target.path.to_str()).collect()
}

/// Pieces of scripts, of which nearly every one means something to a shell.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "'",
        "\"",
        "`",
        "$(",
        ")",
        "(",
        "{",
        "}",
        "${",
        "$((",
        "))",
        "[[",
        "]]",
        "((",
        ";",
        ";;",
        "&",
        "&&",
        "|",
        "||",
        "\n",
        "\r\n",
        "\\",
        "\\\n",
        "#",
        " ",
        "\t",
        ">",
        ">>",
        "<",
        "<<",
        "<<-",
        "<<<",
        "<(",
        ">(",
        ">&",
        "&>",
        "2>&1",
        "<>",
        ">|",
        "EOF",
        "<<EOF\n",
        "\nEOF\n",
        "if",
        "then",
        "else",
        "fi",
        "for",
        "in",
        "do",
        "done",
        "case",
        "esac",
        "while",
        "function",
        "f()",
        "f",
        "!",
        "=",
        "a=",
        "a=(",
        "~",
        "~/",
        "$HOME",
        "$x",
        "$'",
        "\\x41",
        "*",
        "?",
        "[",
        "{a,b}",
        "..",
        "./",
        "/",
        "é",
        "日本",
        "\u{1}",
        "\0",
        "rm",
        "rm -rf",
        "cp",
        "mv",
        "sed -i",
        "tee",
        "git",
        "git stash",
        "git -C",
        "checkout",
        "--",
        "-",
        "cd",
        "cd -",
        "pushd",
        "popd",
        "bash -c",
        "eval",
        "xargs",
        "find . -exec",
        "+",
        "\\;",
        "sudo",
        "env",
        "timeout 5",
        "a.txt",
        "b c",
        "apply_patch",
        "*** Begin Patch\n",
        "*** Update File: x\n",
        "*** End Patch\n",
        "trap",
        "time",
        "exec",
        "coproc",
        "end",
        "begin",
    ];
    prop_oneof![
        8 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn script(most: usize) -> impl Strategy<Value = String> {
    (prop::collection::vec(piece(), 0..most), any::<bool>())
        .prop_map(|(pieces, is_spaced)| pieces.join(if is_spaced { " " } else { "" }))
}

/// `text` as a word in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_said_it_is_read_and_what_is_seen_is_a_plain_path(script in script(40)) {
        for tool in ["Bash", "Edit", "apply_patch", "NotebookEdit", ""] {
            for harness in Harness::ALL {
                let input = json!({"command": script, "file_path": script, "notebook_path": script, "patch": script});
                for target in read(harness, tool, &input, &around()).writes {
                    let text = target.path.to_str().unwrap();
                    prop_assert!(text.starts_with('/') && text.len() <= 4096, "{text:?}");
                    prop_assert!(!text.split('/').any(|part| part == "." || part == ".."), "{text:?}");
                    prop_assert!(!text.contains('\u{1}') || tool != "Bash", "a hole: {text:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_quoted_is_no_command(script in script(20)) {
        for around in [("echo ", ""), ("git commit -m ", ""), ("grep -rn ", " src"), ("x=", "")] {
            let said = format!("{}{}{}", around.0, quoted(&script), around.1);
            let intent = of(&said);
            prop_assert_eq!(intent, Intent::default(), "{}", said);
        }
    }

    #[test]
    fn what_is_in_a_document_is_no_command(script in script(20)) {
        prop_assume!(!script.lines().any(|line| line == "END_OF_IT"));
        let said = format!("cat > seen.txt <<'END_OF_IT'\n{script}\nEND_OF_IT\n");
        let intent = of(&said);
        prop_assert_eq!(paths(&intent), vec!["/w/shop/seen.txt"], "{}", said);
        prop_assert!(!intent.is_opaque && intent.acts.is_empty());
    }

    #[test]
    fn a_comment_changes_nothing(before in script(12), comment in script(8)) {
        let plain = of(&format!("{before}\n"));
        // What is open at the end takes the comment in.
        let is_open = plain.is_opaque || before.contains("<<") || before.contains('#') || before.ends_with('\\');
        if is_open || before.trim_end().ends_with(['>', '<', '&']) {
            return Ok(());
        }
        let with = format!("{before} # {}\n", comment.replace(['\n', '\r'], " "));
        prop_assert_eq!(of(&with), plain, "{}", with);
    }

    /// The words of bash are ours, for what quoting does.
    #[test]
    fn a_quoted_name_is_what_bash_makes_of_it(name in prop::collection::vec(prop::sample::select(vec![
        "a", "B", "é", " ", "'x y'", "\"x y\"", "\"a\\\"b\"", "\\ ", "\\'", "\\\"", "$'\\t'", "$'a\\'b'", "\"'\"", "'\"'", "\\\\", "\"\\\\\"",
        "#", "=", ",", "%", "\"\\a\"", "$'\\x41'", "$'\\101'", "\"\\$x\"", "'$x'", "\\$x", "\"`\"x",
    ]), 1..8)) {
        let name = name.concat();
        let name = name.trim();
        // At the end of a script a backslash has nothing to quote.
        prop_assume!(!name.ends_with('\\'));
        prop_assume!(!name.is_empty() && !name.starts_with('#') && !name.contains(" #") && !name.contains('`'));
        let output = Command::new("bash").args(["-c", &format!("printf '%s\\0' {name}")]).output().unwrap();
        prop_assume!(output.status.success());
        let words = String::from_utf8(output.stdout).unwrap();
        let expected: Vec<String> = words.split_terminator('\0').filter(|word| !word.is_empty()).map(|word| format!("/w/shop/{word}")).collect();
        let intent = of(&format!("touch -- {name}"));
        let mut seen: Vec<String> = intent.writes.iter().map(|target| target.path.display().to_string()).collect();
        let mut expected = expected;
        seen.sort(); seen.dedup();
        expected.sort(); expected.dedup();
        prop_assert_eq!(seen, expected, "{}", name);
    }
}

/// Each of these makes a lexer slow that looks ahead at every sign, or deep one that trusts its stack. Twice as much of it takes no
/// more than a few times as long; the bound is far above what a slow machine needs, and far below what a square of the length does.
#[rstest]
fn time_is_linear(
    #[values(
        "(",
        ")",
        "{",
        "}",
        "$(",
        "${",
        "`",
        "\"",
        "'",
        "\\",
        "<<a\n",
        "<<-",
        "a=(",
        "{a,",
        "[[ ",
        "((",
        "if ",
        "case x in ",
        "f(){ f;};f;",
        "for x in ",
        "apply_patch<<a;",
        "x|apply_patch;",
        "eval 'a';",
        "bash -c '",
        "bash -c \"",
        "sudo ",
        "env ",
        "xargs ",
        "find -exec ",
        "a&&",
        "a|",
        ">",
        ">a;",
        "rm a;",
        "cd a;",
        "cd ..;",
        "pushd a;",
        "$'\\",
        "*",
        "~/",
        "# \n",
        "\r\n",
        "${x:-'",
        "${\"",
        "git -C a ",
        "git stash;",
        "!(",
        "a(",
        "function f {",
        "end;",
        "\u{1}",
        "é",
        "*** Update File: a\n",
        "cd src && rm a.rs && git stash; echo \"$x\" > out.txt\n",
        "trap '",
        "esac",
        ";;"
    )]
    piece: &str,
) {
    let text = piece.repeat(64 * 1024 / piece.len());
    let begin = Instant::now();
    let intent = of(&text);
    let patch = read(Harness::Codex, "apply_patch", &json!({"command": format!("*** Begin Patch\n{text}")}), &around());
    assert!(intent.writes.len() <= 512 && patch.writes.len() <= 512);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[rstest]
#[case::no_input("Bash", Value::Null)]
#[case::no_command("Bash", json!({}))]
#[case::a_number("Bash", json!({"command": 7}))]
#[case::words_that_are_none("Bash", json!({"command": [1, "rm"]}))]
#[case::no_words("Bash", json!({"command": []}))]
#[case::no_path("Edit", json!({"path": "a.txt"}))]
#[case::a_list("Write", json!(["a.txt"]))]
#[case::an_empty_path("Write", json!({"file_path": ""}))]
#[case::a_nul("Write", json!({"file_path": "a\0b"}))]
#[case::too_long("Write", json!({"file_path": "a/".repeat(4096)}))]
#[case::no_patch("apply_patch", json!({"command": "hello"}))]
#[case::another_tool("Read", json!({"file_path": "a.txt"}))]
fn what_is_not_understood_is_opaque(#[case] tool: &str, #[case] input: Value) {
    let harness = if tool == "apply_patch" { Harness::Codex } else { Harness::Claude };
    let intent = read(harness, tool, &input, &around());
    assert_eq!(intent, Intent { is_opaque: true, ..Intent::default() });
    let nowhere = Around { cwd: Path::new("relative"), ..around() };
    assert!(read(harness, tool, &input, &nowhere).is_opaque, "without a directory to start from");
}

#[rstest]
#[case("Edit", json!({"file_path": "/w/shop/src/a.rs", "old_string": "> b", "new_string": "rm c"}), "/w/shop/src/a.rs")]
#[case("Write", json!({"file_path": "a/../b.rs", "content": "git stash"}), "/w/shop/b.rs")]
#[case("MultiEdit", json!({"file_path": "/x/../../y", "edits": []}), "/y")]
#[case("NotebookEdit", json!({"notebook_path": "/w/shop/n.ipynb", "new_source": ""}), "/w/shop/n.ipynb")]
#[case("Write", json!({"file_path": "/w/shop/\u{fffd}.rs"}), "/w/shop/\u{fffd}.rs")]
#[case("Bash", json!({"command": ["rm", "a > b; git stash"]}), "/w/shop/a > b; git stash")]
#[case("Bash", json!({"command": ["bash", "-lc", "echo a > b"]}), "/w/shop/b")]
fn a_tool_says_where_it_writes(#[case] tool: &str, #[case] input: Value, #[case] path: &str) {
    let intent = read(Harness::Claude, tool, &input, &around());
    assert_eq!(paths(&intent), [path]);
    assert!(!intent.is_opaque && intent.acts.is_empty());
}

#[test]
fn too_many_targets_are_opaque_behind_the_last_that_is_kept() {
    let many: Vec<String> = (0..600).map(|number| format!("rm {number}.txt")).collect();
    let intent = of(&many.join("\n"));
    assert_eq!(intent.writes.len(), 512);
    assert!(intent.is_opaque);
}

/// A link is written through, but not removed through; `..` behind a link is where the kernel goes.
#[test]
fn links_lead_where_the_kernel_goes() {
    let home = tempfile::tempdir().unwrap();
    let top = home.path().canonicalize().unwrap();
    std::fs::create_dir_all(top.join("real/deep")).unwrap();
    std::fs::write(top.join("real/file.txt"), "").unwrap();
    std::os::unix::fs::symlink(top.join("real/deep"), top.join("link")).unwrap();
    std::os::unix::fs::symlink("real/file.txt", top.join("alias.txt")).unwrap();
    std::os::unix::fs::symlink("real/gone.txt", top.join("dangling.txt")).unwrap();
    std::os::unix::fs::symlink("loop", top.join("loop")).unwrap();
    let around = Around { cwd: &top, home: None, links: &FileLinks };
    for (command, expected) in [
        ("echo x > link/a.txt", "real/deep/a.txt"),
        ("echo x > link/../a.txt", "real/a.txt"),
        ("echo x > alias.txt", "real/file.txt"),
        ("echo x > dangling.txt", "real/gone.txt"),
        ("rm alias.txt", "alias.txt"),
        ("cd link && echo x > b.txt", "real/deep/b.txt"),
        ("cp a.txt link", "real/deep/a.txt"),
        ("echo x > not/there/yet.txt", "not/there/yet.txt"),
    ] {
        let intent = read(Harness::Claude, "Bash", &json!({"command": command}), &around);
        let seen: Vec<_> = intent.writes.iter().map(|target| target.path.clone()).collect();
        assert_eq!(seen, [top.join(expected)], "{command}");
    }
    let _ = read(Harness::Claude, "Bash", &json!({"command": "echo x > loop/a"}), &around);
}
