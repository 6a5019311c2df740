//! What the screen shows, and what keys do to it. It knows neither a terminal nor a Sentinel.

use std::collections::VecDeque;

use super::{
    ask::{Detail, Happened, Look, News},
    rows::{Grade, Order, Row, Trouble, worst},
};

/// So many events are remembered.
const EVENTS: usize = 1_000;
/// So many rows a page is, before the first one was drawn.
const PAGE: usize = 20;

/// A key, as far as it means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Open,
    Back,
    Erase,
    Letter(char),
}

/// What a key leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing outside of the screen.
    Stay,
    /// All of this master is wanted, or of none.
    Ask(Option<String>),
    /// The end.
    Quit,
}

/// What is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Looking {
    /// At all masters.
    #[default]
    AtAll,
    /// At one.
    At(String),
    /// At the events.
    AtEvents,
    /// At the keys.
    AtKeys,
}

/// Everything that is shown.
#[derive(Debug, Default)]
pub(super) struct Screen {
    pub(super) looking: Looking,
    pub(super) order: Order,
    pub(super) filter: String,
    /// Whether letters go to the filter.
    pub(super) filtering: bool,
    /// The name of the master that is marked.
    marked: Option<String>,
    /// The first line of a long list that is shown.
    pub(super) top: usize,
    /// How many rows the list has that is shown, as it was drawn last.
    pub(super) page: usize,
    /// How far a detail or the events are scrolled.
    pub(super) scrolled: usize,
    /// Who answered last.
    pub(super) from: String,
    /// Why nobody answers.
    pub(super) lost: Option<String>,
    pub(super) rows: Vec<Row>,
    /// None: the Sentinel lists none.
    pub(super) troubles: Option<Vec<Trouble>>,
    pub(super) detail: Option<Detail>,
    /// The newest last.
    pub(super) events: VecDeque<Happened>,
    drawn: bool,
}

impl Screen {
    /// Whether something has changed since this was asked last.
    pub(super) fn is_to_be_drawn(&mut self) -> bool {
        !std::mem::replace(&mut self.drawn, true)
    }

    pub(super) fn draw_again(&mut self) {
        self.drawn = false;
    }

    /// Takes in what comes from the Sentinel.
    pub(super) fn hear(&mut self, news: News) {
        self.drawn = false;
        match news {
            News::Lost(why) => self.lost = Some(why),
            News::Event(happened) => {
                if self.events.len() >= EVENTS {
                    self.events.pop_front();
                }
                self.events.push_back(happened);
            }
            News::Look(look) => self.see(*look),
        }
    }

    fn see(&mut self, look: Look) {
        let Look { from, masters, problems, detail } = look;
        (self.from, self.lost) = (from, None);
        self.troubles = problems.map(|all| all.iter().map(Trouble::of).collect());
        let troubles = self.troubles.as_deref().unwrap_or_default();
        self.rows = masters.iter().map(|master| Row::of(master, troubles)).collect();
        let wanted = match &self.looking {
            Looking::At(name) => Some(name),
            _ => None,
        };
        if let Some(detail) = detail.filter(|it| Some(&it.name) == wanted) {
            self.detail = Some(detail);
        }
        self.sort();
    }

    fn sort(&mut self) {
        self.order.sort(&mut self.rows);
    }

    /// The masters that the filter leaves.
    pub(super) fn shown(&self) -> Vec<&Row> {
        let wanted = self.filter.to_lowercase();
        let fits = |row: &&Row| {
            let fields = [&row.name, &row.address, &row.flags, &row.trouble];
            wanted.is_empty() || fields.iter().any(|text| text.to_lowercase().contains(&wanted))
        };
        self.rows.iter().filter(fits).collect()
    }

    /// The place of the marked master among those that are shown.
    pub(super) fn place(&self, shown: &[&Row]) -> usize {
        let marked = self.marked.as_ref();
        shown.iter().position(|row| Some(&row.name) == marked).unwrap_or(0)
    }

    /// The worst of all, and one sentence.
    pub(super) fn summary(&self) -> (Grade, String) {
        let sick = self.rows.iter().filter(|row| row.grade == Grade::Critical || !row.flags.is_empty()).count();
        let noun = if self.rows.len() == 1 { "master" } else { "masters" };
        let text = format!("{} of {} {noun} well", self.rows.len() - sick, self.rows.len());
        let at_least = if sick > 0 { Grade::Critical } else { Grade::Well };
        match &self.troubles {
            None => (at_least, format!("{text}; this Sentinel lists no problems")),
            Some(all) => match worst(all.iter()) {
                None => (at_least, format!("{text}, nothing is wrong")),
                Some(worst) => {
                    let more = if all.len() > 1 { format!(" (and {} more)", all.len() - 1) } else { String::new() };
                    let of = if worst.master == "-" { String::new() } else { format!("{} · ", worst.master) };
                    (at_least.max(worst.grade), format!("{text} · {of}{}: {}{more}", worst.code, worst.text))
                }
            },
        }
    }

    /// The problems of one master.
    pub(super) fn troubles_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Trouble> {
        self.troubles.iter().flatten().filter(move |it| it.master == name)
    }

    /// The events of one master, the newest last. Their payloads name it.
    pub(super) fn events_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Happened> {
        self.events.iter().filter(move |it| it.payload.split(' ').any(|word| word == name))
    }

    /// Somebody presses a key.
    pub(super) fn press(&mut self, key: Key) -> Step {
        self.drawn = false;
        if self.filtering {
            return self.type_filter(key);
        }
        match key {
            Key::Letter('q') => return Step::Quit,
            Key::Letter('?' | 'h') => self.look_at(Looking::AtKeys),
            Key::Letter('e') => self.look_at(Looking::AtEvents),
            Key::Letter('/') => {
                let step = self.back();
                self.filtering = true;
                return step;
            }
            Key::Letter('s') if self.looking == Looking::AtAll => {
                self.order = self.order.next();
                self.sort();
            }
            Key::Back if self.looking == Looking::AtAll => self.filter.clear(),
            Key::Back => return self.back(),
            Key::Open if self.looking == Looking::AtAll => return self.open(),
            Key::Up | Key::Letter('k') => self.go(-1),
            Key::Down | Key::Letter('j') => self.go(1),
            Key::PageUp => self.go(-self.a_page()),
            Key::PageDown => self.go(self.a_page()),
            Key::First => self.go(isize::MIN),
            Key::Last => self.go(isize::MAX),
            _ => {}
        }
        Step::Stay
    }

    fn type_filter(&mut self, key: Key) -> Step {
        match key {
            Key::Letter(letter) => self.filter.push(letter),
            Key::Erase => drop(self.filter.pop()),
            Key::Back => {
                self.filter.clear();
                self.filtering = false;
            }
            Key::Open => self.filtering = false,
            Key::Up => self.go(-1),
            Key::Down => self.go(1),
            _ => {}
        }
        Step::Stay
    }

    fn a_page(&self) -> isize {
        isize::try_from(if self.page == 0 { PAGE } else { self.page }).unwrap_or(isize::MAX)
    }

    fn look_at(&mut self, what: Looking) {
        (self.looking, self.scrolled) = (what, 0);
    }

    fn open(&mut self) -> Step {
        let shown = self.shown();
        let Some(name) = shown.get(self.place(&shown)).map(|row| row.name.clone()) else { return Step::Stay };
        self.marked = Some(name.clone());
        self.detail = None;
        self.look_at(Looking::At(name.clone()));
        Step::Ask(Some(name))
    }

    fn back(&mut self) -> Step {
        let was_one = matches!(self.looking, Looking::At(_));
        self.look_at(Looking::AtAll);
        if was_one { Step::Ask(None) } else { Step::Stay }
    }

    /// Moves the mark, or scrolls.
    fn go(&mut self, by: isize) {
        if self.looking != Looking::AtAll {
            self.scrolled = self.scrolled.saturating_add_signed(by);
            return;
        }
        let shown = self.shown();
        let last = shown.len().saturating_sub(1);
        let to = self.place(&shown).saturating_add_signed(by).min(last);
        self.marked = shown.get(to).map(|row| row.name.clone());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// Three masters, one of which is down.
    pub(in super::super) fn look() -> Look {
        let master = |name: &str, flags: &str, port: u16| {
            json!({ "name": name, "ip": "10.0.0.1", "port": port, "flags": flags, "num-slaves": 2,
                    "num-other-sentinels": 2, "quorum": 2, "config-epoch": 4 })
        };
        Look {
            from: "127.0.0.1:26379".to_owned(),
            masters: vec![
                master("cart", "master", 6_381),
                master("shop", "s_down,o_down,master", 6_379),
                master("users", "master", 6_380),
            ],
            problems: Some(vec![
                json!({ "severity": "warning", "code": "no-persistence", "master": "users", "problem": "it keeps nothing", "remedy": "x" }),
                json!({ "severity": "critical", "code": "master-down", "master": "shop", "problem": "it is down", "remedy": "wait" }),
            ]),
            detail: None,
        }
    }

    fn screen() -> Screen {
        let mut screen = Screen::default();
        screen.hear(News::Look(Box::new(look())));
        screen
    }

    fn names(screen: &Screen) -> Vec<&str> {
        screen.shown().iter().map(|row| row.name.as_str()).collect()
    }

    #[test]
    fn trouble_comes_first_and_other_orders_in_turn() {
        let mut screen = screen();
        assert_eq!(names(&screen), ["shop", "users", "cart"]);
        screen.press(Key::Letter('s'));
        assert_eq!(names(&screen), ["cart", "shop", "users"]);
        screen.press(Key::Letter('s'));
        assert_eq!(names(&screen), ["shop", "users", "cart"], "by address");
        let (grade, text) = screen.summary();
        assert_eq!(grade, Grade::Critical);
        assert_eq!(text, "2 of 3 masters well · shop · master-down: it is down (and 1 more)");
    }

    #[test]
    fn the_mark_stays_with_its_master_when_the_order_changes() {
        let mut screen = screen();
        screen.press(Key::Down);
        let marked = |screen: &Screen| {
            let shown = screen.shown();
            shown[screen.place(&shown)].name.clone()
        };
        assert_eq!(marked(&screen), "users");
        screen.press(Key::Letter('s'));
        assert_eq!(marked(&screen), "users");
        screen.press(Key::Last);
        screen.press(Key::Down);
        assert_eq!(marked(&screen), "users", "it is the last by name");
        screen.press(Key::First);
        assert_eq!(marked(&screen), "cart");
    }

    #[test]
    fn a_filter_is_typed_kept_and_taken_away() {
        let mut screen = screen();
        screen.press(Key::Letter('/'));
        for letter in "USq".chars() {
            assert_eq!(screen.press(Key::Letter(letter)), Step::Stay, "q is a letter of the filter");
        }
        assert_eq!(names(&screen), [""; 0]);
        screen.press(Key::Erase);
        assert_eq!(names(&screen), ["users"]);
        screen.press(Key::Open);
        assert_eq!(screen.press(Key::Open), Step::Ask(Some("users".to_owned())));
        assert_eq!(screen.press(Key::Back), Step::Ask(None));
        screen.press(Key::Back);
        assert_eq!(names(&screen).len(), 3);
        assert_eq!(screen.press(Key::Letter('q')), Step::Quit);
    }

    #[test]
    fn a_detail_that_comes_late_is_of_no_other_master() {
        let mut screen = screen();
        screen.press(Key::Open);
        assert_eq!(screen.looking, Looking::At("shop".to_owned()));
        let of = |name: &str| Some(Detail { name: name.to_owned(), ..Detail::default() });
        screen.hear(News::Look(Box::new(Look { detail: of("users"), ..look() })));
        assert!(screen.detail.is_none());
        screen.hear(News::Look(Box::new(Look { detail: of("shop"), ..look() })));
        assert!(screen.detail.is_some());
    }

    #[test]
    fn events_are_bounded_and_found_by_their_master() {
        let mut screen = screen();
        for number in 0..EVENTS + 5 {
            let payload = format!("master {} 10.0.0.1 6379", if number % 2 == 0 { "shop" } else { "shopping" });
            let time = number.to_string();
            screen.hear(News::Event(Happened { time, event: "+sdown".to_owned(), payload }));
        }
        assert_eq!((screen.events.len(), screen.events_of("shop").count()), (EVENTS, EVENTS / 2));
        assert_eq!(screen.events.front().map(|it| it.time.as_str()), Some("5"));
    }

    #[test]
    fn it_is_drawn_when_something_has_changed() {
        let mut screen = screen();
        assert!(screen.is_to_be_drawn() && !screen.is_to_be_drawn());
        screen.press(Key::Down);
        assert!(screen.is_to_be_drawn());
        screen.hear(News::Lost("no answer".to_owned()));
        assert!(screen.is_to_be_drawn());
    }
}
