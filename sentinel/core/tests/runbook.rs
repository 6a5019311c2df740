//! The runbook has a paragraph for every problem, and names every notice.

use sentinel_core::{Code, Topic};

#[test]
fn every_problem_and_every_notice_is_in_the_runbook() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/problems.md");
    let runbook = std::fs::read_to_string(path).expect("the runbook");
    for code in Code::ALL {
        let name = code.as_str();
        assert!(runbook.contains(&format!("\n### {name}\n")), "no paragraph for {name}");
        assert!(
            runbook.contains(&format!("| [`{name}`](#{name}) | {}", code.severity().as_str())),
            "{name} is not listed"
        );
    }
    for topic in Topic::ALL {
        let level = topic.level().as_str();
        let row = runbook.lines().find(|line| line.starts_with(&format!("| {level}"))).expect("a row for each level");
        assert!(
            row.contains(&format!("`{}`", topic.as_str())),
            "{} is not among those of level {level}",
            topic.as_str()
        );
    }
}
