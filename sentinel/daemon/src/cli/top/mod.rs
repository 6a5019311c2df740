//! `sentinel top`: a live screen of all masters, trouble first.
//!
//! A thread asks the Sentinel each second, another one listens to its events; what they bring goes into a [`Screen`],
//! which keys change, too, and which is drawn when it has changed. Nothing here changes anything at a Sentinel.

mod ask;
mod draw;
mod rows;
mod screen;

use std::{
    io::{self, IsTerminal as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{
    Exit,
    target::{Format, Target},
};
use screen::{Key, Screen, Step};

/// How long a key may wait while something comes from the Sentinel.
const KEYS_EVERY: Duration = Duration::from_millis(50);

pub(super) fn run(target: &Target) -> Exit {
    if target.format() != Format::Table {
        target.complain(Exit::Usage, "top shows a screen: for programs there is `sentinel status --json`");
        return Exit::Usage;
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        target.complain(Exit::Usage, "top needs a terminal: without one there is `sentinel status -w`");
        return Exit::Usage;
    }
    let line = match target.line() {
        Ok(line) => line,
        Err(exit) => return exit,
    };
    // Who is told to end by a signal leaves the terminal as it was, too.
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGHUP, SIGINT] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&ended)) {
            target.complain(Exit::Failure, &format!("signals: {error}"));
            return Exit::Failure;
        }
    }
    let (news, heard) = mpsc::channel();
    let wanted = ask::start(line, news);
    let outcome = ratatui::try_init().and_then(|mut terminal| {
        let mut screen = Screen::default();
        let colourful = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        loop {
            if ended.load(Ordering::Relaxed) {
                return Ok(());
            }
            while let Ok(it) = heard.try_recv() {
                screen.hear(it);
            }
            if screen.is_to_be_drawn() {
                terminal.draw(|frame| draw::draw(frame, &mut screen, colourful))?;
            }
            match event::poll(KEYS_EVERY) {
                Ok(true) => {}
                Ok(false) => continue,
                // By a signal, which was looked for above.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let step = match event::read()? {
                Event::Key(key) if key.kind == KeyEventKind::Release => continue,
                Event::Key(key) if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') => {
                    Step::Quit
                }
                Event::Key(key) => key_of(key.code).map_or(Step::Stay, |key| screen.press(key)),
                Event::Resize(..) => {
                    screen.draw_again();
                    Step::Stay
                }
                _ => Step::Stay,
            };
            match step {
                Step::Stay => {}
                Step::Ask(name) => drop(wanted.send(name)),
                Step::Quit => return Ok(()),
            }
        }
    });
    ratatui::restore();
    match outcome {
        Ok(()) => Exit::Success,
        Err(error) => {
            target.complain(Exit::Failure, &format!("the terminal: {error}"));
            Exit::Failure
        }
    }
}

fn key_of(code: KeyCode) -> Option<Key> {
    Some(match code {
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::First,
        KeyCode::End => Key::Last,
        KeyCode::Enter | KeyCode::Right => Key::Open,
        KeyCode::Esc | KeyCode::Left => Key::Back,
        KeyCode::Backspace => Key::Erase,
        KeyCode::Char(letter) => Key::Letter(letter),
        _ => return None,
    })
}
