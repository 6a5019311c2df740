//! From a [`Screen`] to what stands in the terminal. Words say what colours say, for those who see none.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Cell, Paragraph, Row, Table, Wrap},
};
use serde_json::Value as Json;

use super::{
    super::reply::{Column, aligned, cell},
    ask::{Detail, Happened},
    rows::{self, Grade, Trouble},
    screen::{Looking, Screen},
};

/// So many events stand below the masters.
const EVENTS: u16 = 7;
/// With fewer columns some of the list are left out.
const NARROW: u16 = 120;
/// So many incidents of a master are shown.
const INCIDENTS: usize = 5;

const KEYS: &[(&str, &str)] = &[
    ("Up, Down, k, j", "the master before, the next one; in other views: scroll"),
    ("PgUp, PgDn, Home, End", "a page up or down, the first, the last"),
    ("Enter", "all of the marked master: nodes, Sentinels, candidates, what happened"),
    ("Esc", "back; in the list: no filter"),
    ("/", "only masters with these letters in name, address, flags or trouble"),
    ("s", "another order: trouble first, by name, by address"),
    ("e", "events, the newest first"),
    ("?", "these keys"),
    ("q, Ctrl-C", "leave"),
];

/// How things look.
#[derive(Clone, Copy)]
struct Look {
    colourful: bool,
}

impl Look {
    fn of(self, grade: Grade) -> Style {
        let style = Style::new();
        match (grade, self.colourful) {
            (Grade::Critical, true) => style.fg(Color::Red).add_modifier(Modifier::BOLD),
            (Grade::Critical, false) => style.add_modifier(Modifier::BOLD),
            (Grade::Warning, true) => style.fg(Color::Yellow),
            (Grade::Well, true) => style.fg(Color::Green),
            _ => style,
        }
    }

    fn of_event(self, event: &str) -> Style {
        let bad = ["+sdown", "+odown", "+problem", "-failover", "+tilt"];
        let good = ["+switch-master", "-sdown", "-odown", "-problem", "-tilt"];
        if bad.iter().any(|it| event.starts_with(it)) {
            self.of(Grade::Warning)
        } else if good.contains(&event) {
            self.of(Grade::Well)
        } else {
            Style::new()
        }
    }
}

const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const HEADING: Style = Style::new().add_modifier(Modifier::BOLD);

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, screen: &mut Screen, colourful: bool) {
    let look = Look { colourful };
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(3), Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
    frame.render_widget(summary(screen, look), head);
    frame.render_widget(footer(screen, look), foot);
    match screen.looking.clone() {
        Looking::AtAll => {
            let [list, below] = Layout::vertical([Constraint::Min(3), Constraint::Length(EVENTS)]).areas(body);
            masters(frame, screen, look, list);
            let newest: Vec<&Happened> = screen.events.iter().rev().take(usize::from(EVENTS) - 1).collect();
            let lines: Vec<Line<'_>> = newest.into_iter().rev().map(|it| event(it, look)).collect();
            frame.render_widget(Paragraph::new(lines).block(titled("Events")), below);
        }
        Looking::At(name) => {
            let text = of_master(screen, &name, look);
            scrolled(frame, screen, text, &name, body);
        }
        Looking::AtEvents => {
            let lines: Vec<Line<'static>> = screen.events.iter().rev().map(|it| event(it, look)).collect();
            scrolled(frame, screen, lines, "Events, the newest first", body);
        }
        Looking::AtKeys => {
            let line = |(keys, what): &(&'static str, &'static str)| {
                Line::from(vec![Span::styled(format!("{keys:<24}"), HEADING), Span::raw(*what)])
            };
            scrolled(frame, screen, KEYS.iter().map(line).collect(), "Keys", body);
        }
    }
}

fn titled(title: &str) -> Block<'static> {
    Block::new().borders(Borders::TOP).border_style(DIM).title(Span::styled(title.to_owned(), HEADING))
}

fn summary(screen: &Screen, look: Look) -> Paragraph<'static> {
    let (grade, text) = screen.summary();
    let line = match (&screen.lost, screen.from.is_empty()) {
        (None, true) => Line::from("asking ..."),
        (None, false) => Line::styled(text, look.of(grade).add_modifier(Modifier::BOLD)),
        (Some(why), true) => Line::styled(format!("NO ANSWER: {why}"), look.of(Grade::Critical)),
        (Some(why), false) => Line::styled(format!("NO ANSWER, what is shown is old: {why}"), look.of(Grade::Critical)),
    };
    Paragraph::new(line).wrap(Wrap { trim: true })
}

fn footer(screen: &Screen, look: Look) -> Line<'static> {
    if screen.filtering {
        return Line::from(vec![
            Span::styled("filter: ", HEADING),
            Span::raw(format!("{}_", screen.filter)),
            Span::styled("   Enter keep  Esc no filter", DIM),
        ]);
    }
    let mut spans = vec![Span::styled(format!("{}  ", screen.from), DIM)];
    if screen.looking == Looking::AtAll {
        spans.push(Span::styled(format!("{}  ", screen.order.word()), DIM));
        if !screen.filter.is_empty() {
            spans.push(Span::styled(format!("filter: {}  ", screen.filter), look.of(Grade::Warning)));
        }
        spans.push(Span::raw("Enter open  / filter  s order  e events  ? keys  q leave"));
    } else {
        spans.push(Span::raw("Esc back  Up Down scroll  / filter  e events  ? keys  q leave"));
    }
    Line::from(spans)
}

fn masters(frame: &mut Frame<'_>, screen: &mut Screen, look: Look, area: Rect) {
    let height = usize::from(area.height.saturating_sub(1));
    let narrow = area.width < NARROW;
    screen.page = height;
    let (all, place) = {
        let shown = screen.shown();
        (shown.len(), screen.place(&shown))
    };
    // The mark stays on the screen, and a list that has become shorter has no empty end.
    screen.top = screen.top.min(place).max((place + 1).saturating_sub(height)).min(all.saturating_sub(height));
    let shown = screen.shown();
    let rows = shown.iter().enumerate().skip(screen.top).take(height).map(|(at, row)| {
        let state = if row.flags.is_empty() { row.grade.word().to_owned() } else { row.flags.clone() };
        let mut cells = vec![
            Cell::from(row.name.clone()),
            Cell::from(row.address.clone()),
            Cell::from(Span::styled(state, look.of(row.grade))),
            Cell::from(row.replicas.clone()),
            Cell::from(row.sentinels.clone()),
        ];
        if !narrow {
            cells.extend([Cell::from(row.quorum.clone()), Cell::from(row.epoch.clone())]);
        }
        cells.push(Cell::from(Span::styled(row.trouble.clone(), look.of(row.grade))));
        Row::new(cells).style(if at == place { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() })
    });
    let width = |text: fn(&rows::Row) -> &str, least: u16, most: u16| {
        let longest = shown.iter().map(|row| text(row).chars().count()).max().unwrap_or(0);
        Constraint::Length(u16::try_from(longest).unwrap_or(most).clamp(least, most))
    };
    let (of_name, of_address) = if narrow { (16, 21) } else { (40, 40) };
    let mut widths = vec![
        width(|row| &row.name, 6, of_name),
        width(|row| &row.address, 7, of_address),
        width(|row| &row.flags, 8, if narrow { 14 } else { 40 }),
    ];
    let mut headings = vec!["MASTER", "ADDRESS", "STATE"];
    if narrow {
        headings.extend(["REPL", "SENT"]);
        widths.extend([Constraint::Length(4); 2]);
    } else {
        headings.extend(["REPLICAS", "SENTINELS", "QUORUM", "EPOCH"]);
        widths.extend([8, 9, 6, 6].map(Constraint::Length));
    }
    headings.push("TROUBLE");
    widths.push(Constraint::Fill(1));
    let table = Table::new(rows, widths).header(Row::new(headings).style(HEADING)).column_spacing(2);
    frame.render_widget(table, area);
}

/// Long text that keys scroll.
fn scrolled(frame: &mut Frame<'_>, screen: &mut Screen, text: Vec<Line<'static>>, title: &str, area: Rect) {
    let height = usize::from(area.height.saturating_sub(1));
    screen.page = height;
    screen.scrolled = screen.scrolled.min(text.len().saturating_sub(1));
    let text: Vec<Line<'static>> = text.into_iter().skip(screen.scrolled).collect();
    frame.render_widget(Paragraph::new(text).block(titled(title)).wrap(Wrap { trim: false }), area);
}

fn event(it: &Happened, look: Look) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{} ", it.time), DIM),
        Span::styled(format!("{} ", it.event), look.of_event(&it.event)),
        Span::raw(it.payload.clone()),
    ])
}

fn problem(it: &Trouble, look: Look) -> [Line<'static>; 2] {
    [
        Line::from(vec![
            Span::styled(format!("{} {}: ", it.grade.word(), it.code), look.of(it.grade)),
            Span::raw(it.text.clone()),
        ]),
        Line::styled(format!("  → {}", it.remedy), DIM),
    ]
}

/// Everything about one master.
fn of_master(screen: &Screen, name: &str, look: Look) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    match screen.rows.iter().find(|row| row.name == name) {
        None => lines.push(Line::styled("it is not watched any more", look.of(Grade::Warning))),
        Some(row) => {
            let state = if row.flags.is_empty() { row.grade.word() } else { &row.flags };
            lines.push(Line::from(vec![
                Span::styled(row.address.clone(), HEADING),
                Span::styled(format!("  {state}"), look.of(row.grade)),
                Span::raw(format!("  quorum {} of {} Sentinels, epoch {}", row.quorum, row.sentinels, row.epoch)),
            ]));
        }
    }
    lines.extend(screen.troubles_of(name).flat_map(|it| problem(it, look)));
    let Some(detail) = &screen.detail else {
        lines.push(Line::styled("asking ...", DIM));
        return lines;
    };
    lines.extend(of_detail(detail));
    let events: Vec<_> = screen.events_of(name).collect();
    part(&mut lines, "Events", events.iter().rev().take(20).map(|it| event(it, look)).collect());
    lines
}

fn part(lines: &mut Vec<Line<'static>>, title: &str, mut more: Vec<Line<'static>>) {
    if !more.is_empty() {
        lines.push(Line::default());
        lines.push(Line::styled(title.to_owned(), HEADING));
        lines.append(&mut more);
    }
}

fn of_detail(detail: &Detail) -> Vec<Line<'static>> {
    const REPLICAS: &[Column] = &[
        ("REPLICA", "name"),
        ("FLAGS", "flags"),
        ("LINK", "master-link-status"),
        ("OFFSET", "slave-repl-offset"),
        ("PRIORITY", "slave-priority"),
        ("RANK", "rank"),
        ("REFUSED", "refused"),
    ];
    const CONSENSUS: &[Column] = &[
        ("SENTINEL", "runid"),
        ("ADDRESS", "address"),
        ("USABLE", "usable"),
        ("SAYS DOWN", "master-down"),
        ("NAMES", "master"),
        ("VOTED FOR", "voted-leader"),
    ];
    const SENTINELS: &[Column] = &[("SENTINEL", "runid"), ("HOST", "ip"), ("PORT", "port"), ("FLAGS", "flags")];
    const HISTORY: &[Column] = &[("LASTED MS", "lasted-ms"), ("BEGAN WITH", "trigger"), ("OUTCOME", "outcome")];
    let table = |columns: &[Column], tables: &[Json]| -> Vec<Line<'static>> {
        if tables.is_empty() {
            return Vec::new();
        }
        aligned(columns, tables).lines().map(|line| Line::from(line.to_owned())).collect()
    };
    // What is known of a replica, and how it would be ranked.
    let replicas: Vec<Json> = detail
        .replicas
        .iter()
        .map(|replica| {
            let mut both = replica.clone();
            let name = cell(replica, "name");
            if let Some(candidate) = detail.candidates.iter().find(|it| cell(it, "name") == name) {
                both["rank"] = candidate["rank"].clone();
                both["refused"] = candidate["refused"].clone();
            }
            both
        })
        .collect();
    let mut lines = Vec::new();
    if detail.explanation.is_empty() && detail.candidates.is_empty() {
        lines.push(Line::styled("This Sentinel tells no more: it is a redis-sentinel, or does not permit it.", DIM));
    }
    part(&mut lines, "Why", detail.explanation.iter().map(|line| Line::from(line.clone())).collect());
    part(&mut lines, "Replicas", table(REPLICAS, &replicas));
    let sentinels = if detail.consensus.is_empty() {
        table(SENTINELS, &detail.sentinels)
    } else {
        table(CONSENSUS, &detail.consensus)
    };
    part(&mut lines, "Sentinels", sentinels);
    let newest = &detail.history[..detail.history.len().min(INCIDENTS)];
    part(&mut lines, "What happened, the newest first", table(HISTORY, newest));
    lines
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};
    use serde_json::json;

    use super::{
        super::{
            ask::News,
            screen::{Key, tests::look},
        },
        *,
    };

    fn drawn(screen: &mut Screen, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
        terminal.draw(|frame| draw(frame, screen, true)).expect("it can be drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn the_list_says_in_words_what_is_wrong() {
        let mut screen = Screen::default();
        assert!(drawn(&mut screen, 100, 20).contains("asking ..."));
        screen.hear(News::Look(Box::new(look())));
        let text = drawn(&mut screen, 120, 20);
        for part in
            ["2 of 3 masters well", "s_down,o_down", "10.0.0.1:6379", "master-down: it is down", "trouble first"]
        {
            assert!(text.contains(part), "{part}:\n{text}");
        }
        let place = |name: &str| text.find(name).unwrap_or_else(|| panic!("{name}:\n{text}"));
        assert!(place("shop  ") < place("users  ") && place("users  ") < place("cart  "));
        screen.hear(News::Lost("connection refused".to_owned()));
        assert!(drawn(&mut screen, 120, 20).contains("NO ANSWER, what is shown is old: connection refused"));
    }

    #[test]
    fn a_master_is_shown_with_its_nodes_and_its_past() {
        let mut screen = Screen::default();
        screen.hear(News::Look(Box::new(look())));
        screen.press(Key::Open);
        let detail = Detail {
            name: "shop".to_owned(),
            replicas: vec![
                json!({ "name": "10.0.0.2:6379", "flags": "slave", "master-link-status": "ok", "slave-priority": 100 }),
            ],
            candidates: vec![json!({ "name": "10.0.0.2:6379", "rank": "-", "refused": "its priority is 0" })],
            consensus: vec![
                json!({ "runid": "abc", "address": "10.0.1.1:26379", "usable": "yes", "master-down": "yes" }),
            ],
            history: vec![json!({ "lasted-ms": 812, "trigger": "+sdown", "outcome": "10.0.0.3:6379 took the place" })],
            explanation: vec!["The master is objectively down.".to_owned()],
            ..Detail::default()
        };
        screen.hear(News::Look(Box::new(super::super::ask::Look { detail: Some(detail), ..look() })));
        let text = drawn(&mut screen, 120, 40);
        for part in
            ["its priority is 0", "10.0.1.1:26379", "took the place", "objectively down.", "→ wait", "quorum 2 of 3"]
        {
            assert!(text.contains(part), "{part}:\n{text}");
        }
    }

    #[test]
    fn the_mark_of_thousands_is_on_the_screen_wherever_it_is() {
        let masters = (0..5_000).map(|number| {
            json!({ "name": format!("m{number:04}"), "ip": "10.0.0.1", "port": 6_379, "flags": "master", "num-slaves": 1 })
        });
        let mut screen = Screen::default();
        screen.hear(News::Look(Box::new(super::super::ask::Look { masters: masters.collect(), ..look() })));
        drawn(&mut screen, 100, 30);
        screen.press(Key::Last);
        assert!(drawn(&mut screen, 100, 30).contains("m4999"));
        screen.press(Key::PageUp);
        let text = drawn(&mut screen, 100, 30);
        assert!(text.contains("m4981"), "{text}");
        for letter in "/m0007".chars() {
            screen.press(Key::Letter(letter));
        }
        let text = drawn(&mut screen, 100, 30);
        assert!(text.contains("m0007") && !text.contains("m4999"), "{text}");
    }

    #[test]
    fn eighty_columns_show_whole_addresses_beside_a_long_name() {
        let long = "x".repeat(300);
        let master = json!({ "name": long, "ip": "192.168.100.100", "port": 26_379, "flags": "s_down,o_down,master" });
        let mut screen = Screen::default();
        let masters = look().masters.into_iter().chain([master]).collect();
        screen.hear(News::Look(Box::new(super::super::ask::Look { masters, ..look() })));
        let text = drawn(&mut screen, 80, 20);
        for part in ["192.168.100.100:26379", "10.0.0.1:6379", "s_down,o_down", "users", "TROUBLE"] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
    }

    #[test]
    fn the_smallest_terminal_is_no_reason_to_end() {
        let mut screen = Screen::default();
        screen.hear(News::Look(Box::new(look())));
        for (width, height) in [(1, 1), (5, 2), (10, 3), (20, 9)] {
            for key in [Key::Letter('e'), Key::Letter('?'), Key::Back, Key::Open, Key::Back] {
                screen.press(key);
                drawn(&mut screen, width, height);
            }
        }
    }
}
