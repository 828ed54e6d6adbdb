//! Runs the example as a user does, on a folder.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and so do its helpers")]

use std::path::Path;
use std::process::{Command, Output};

fn sweep(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
    command.args(arguments).output().unwrap()
}

/// Runs the example, which must succeed, and returns its output.
fn printed(arguments: &[&str]) -> String {
    let output = sweep(arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn folder_of_payloads() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        std::fs::write(folder.path().join(name), "12345").unwrap();
    }
    let url = format!("file://{}", folder.path().display());
    (folder, url)
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn payloads_are_removed_only_on_request() {
    let (folder, url) = folder_of_payloads();
    let young = printed(&[&url, "--remove"]);
    assert!(
        young.contains("seen     2 objects of 10 B") && young.contains("removed  0 objects"),
        "{young}"
    );
    let dry = printed(&[&url, "--older-than", "0s"]);
    assert!(
        dry.contains("would remove") && dry.contains("one") && dry.contains("old      2 objects of 10 B"),
        "{dry}"
    );
    assert_eq!(files(folder.path()), 2);
    let done = printed(&[&url, "--older-than", "0s", "--remove"]);
    assert!(done.contains("removed  2 objects of 10 B"), "{done}");
    assert_eq!(files(folder.path()), 0);
}

#[test]
fn invalid_input_ends_with_exit_code_2() {
    let (folder, url) = folder_of_payloads();
    for arguments in [
        &[][..],
        &["--older-than", "soon", &url],
        &["nonsense"],
        &["s3://bucket"],
        &["s3://user:hush@bucket/p"],
        &["file:///no/such/folder"],
    ] {
        let output = sweep(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(!errors.contains("hush"), "{errors}");
    }
    // Only the store knows that it has no uploads.
    let output = sweep(&[&url, "--older-than", "0s", "--remove", "--uploads"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(files(folder.path()), 2);
}
