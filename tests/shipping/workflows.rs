//! The workflows.

use crate::tools::root;

#[test]
fn every_action_is_pinned_to_a_commit() {
    for file in std::fs::read_dir(root().join(".github/workflows")).expect("the workflows") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        for action in text.lines().filter_map(|line| line.split_once("uses: ")) {
            let (_, commit) = action.1.split_once('@').expect("a version");
            let commit: String = commit.chars().take_while(char::is_ascii_hexdigit).collect();
            assert_eq!(commit.len(), 40, "{}", action.1);
        }
    }
}
