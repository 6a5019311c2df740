//! The man page in the repository is the one that the command line defines.

use std::{fmt::Write as _, path::Path};

/// Where it is kept. Rewritten when `UPDATE_MAN` is set.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../man/sentinel.1");

/// The page, section by section. Without the version, so that a release does not have to touch it.
fn generated() -> String {
    let mut definition = sentineld::cli::definition().disable_help_subcommand(true);
    definition.build();
    let page = clap_mangen::Man::new(definition.clone()).source("sentinel").date("");
    let mut text = section(|out| page.render_title(out));
    text += &section(|out| page.render_name_section(out));
    text += &section(|out| page.render_synopsis_section(out));
    text += &section(|out| page.render_description_section(out));
    text += &section(|out| page.render_options_section(out));
    text += ".SH COMMANDS\n";
    for command in definition.get_subcommands() {
        let page = clap_mangen::Man::new(command.clone());
        let _ = writeln!(text, ".SS {}", command.get_name());
        text += &section(|out| page.render_description_section(out)).replace(".SH DESCRIPTION\n", "");
        text += &section(|out| page.render_options_section(out)).replace(".SH OPTIONS\n", ".PP\n");
    }
    text += &section(|out| page.render_extra_section(out)).replace(".SH EXTRA\n", ".SH NOTES\n");
    text
}

fn section(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    render(&mut out).expect("a section is rendered into memory");
    String::from_utf8(out).expect("a page is text")
}

#[test]
fn the_man_page_is_what_the_command_line_defines() {
    let (path, page) = (Path::new(PAGE), generated());
    if std::env::var_os("UPDATE_MAN").is_some() {
        std::fs::write(path, &page).expect("the page can be written");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == page, "man/sentinel.1 has drifted: run UPDATE_MAN=1 cargo test -p sentineld --test man_page");
}
