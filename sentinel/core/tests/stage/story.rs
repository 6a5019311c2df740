//! The file format: what happens, `----`, what the engine does about it, an empty line.

use std::fmt::Write as _;

use super::Stage;

/// One story.
pub(crate) struct Story {
    blocks: Vec<Block>,
}

/// Comments and commands as they are written; whether the engine's answer to them is written down behind.
struct Block {
    lines: Vec<String>,
    answered: bool,
}

impl Story {
    /// Reads a story. What is expected is not kept: it is compared as text.
    pub(crate) fn read(text: &str) -> Self {
        let mut blocks = Vec::new();
        let mut lines = Vec::new();
        let mut expected = false;
        for line in text.lines() {
            if expected {
                expected = !line.is_empty();
            } else if line == "----" {
                blocks.push(Block { lines: std::mem::take(&mut lines), answered: true });
                expected = true;
            } else {
                lines.push(line.to_owned());
            }
        }
        while lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
        let silent = |line: &String| line.is_empty() || line.starts_with('#');
        let answered = !lines.iter().all(silent);
        if !lines.is_empty() {
            blocks.push(Block { lines, answered });
        }
        Story { blocks }
    }

    /// Plays it, and writes it down as it went.
    pub(crate) fn play(&self) -> String {
        let mut stage: Option<Stage> = None;
        let mut text = String::new();
        for (n, block) in self.blocks.iter().enumerate() {
            if n > 0 {
                text.push('\n');
            }
            for line in &block.lines {
                writeln!(text, "{line}").unwrap();
                match line.strip_prefix("sentinel") {
                    _ if line.is_empty() || line.starts_with('#') => {}
                    Some(options) => stage = Some(Stage::begin(&options.split_whitespace().collect::<Vec<_>>())),
                    None => match &mut stage {
                        Some(stage) => stage.carry_out(line),
                        None => panic!("a story begins with the command sentinel, not {line:?}"),
                    },
                }
            }
            if block.answered {
                text.push_str("----\n");
                for line in stage.as_mut().map(|stage| std::mem::take(&mut stage.lines)).unwrap_or_default() {
                    writeln!(text, "{line}").unwrap();
                }
            }
        }
        text
    }
}

/// The lines that differ, with two lines around them.
pub(crate) fn difference(written: &str, played: &str) -> String {
    let (written, played): (Vec<_>, Vec<_>) = (written.lines().collect(), played.lines().collect());
    let first = written.iter().zip(&played).take_while(|(a, b)| a == b).count();
    let (mut a, mut b) = (written.len(), played.len());
    while a > first && b > first && written[a - 1] == played[b - 1] {
        a -= 1;
        b -= 1;
    }
    let mut text = String::new();
    let mut put = |mark: char, lines: &[&str]| {
        for line in lines {
            writeln!(text, "{mark} {line}").unwrap();
        }
    };
    put(' ', &written[first.saturating_sub(6)..first]);
    put('-', &written[first..a]);
    put('+', &played[first..b]);
    put(' ', &written[a..written.len().min(a + 2)]);
    text
}
