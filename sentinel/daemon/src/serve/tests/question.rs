//! The question of most clients is answered by a short way, which must not be told from the long one.

use super::harness::Port;

const QUESTION: &str = "SENTINEL get-master-addr-by-name mymaster";
const ADDRESS: &str = "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6390\r\n";

/// A request as libraries send it.
fn array(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let words_sent = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n", words.len()) + &words_sent.collect::<String>()
}

/// What requests are answered with, which must be the same as arrays and as lines; the latter go the long way.
#[track_caller]
fn answers(port: &Port, lines: &[&str]) -> String {
    let ask = |request: fn(&str) -> String| {
        let requests: String = lines.iter().map(|line| request(line)).collect();
        let answers = port.connect().send(requests).finish_sending().rest();
        let answers = String::from_utf8_lossy(&answers).into_owned();
        // HELLO tells each connection its own number.
        answers.rsplit_once("modules\r\n*0\r\n").map_or(answers.clone(), |(_, behind)| behind.to_owned())
    };
    let (as_arrays, as_lines) = (ask(array), ask(|line| format!("{line}\r\n")));
    assert_eq!(as_arrays, as_lines, "{lines:?}");
    as_arrays
}

#[test]
fn it_is_answered_alike_by_the_short_way_and_by_the_long_one() {
    let port = Port::open();
    assert_eq!(answers(&port, &[QUESTION]), ADDRESS);
    assert_eq!(answers(&port, &["sentinel GET-master-addr-BY-name mymaster", "PING", QUESTION]), {
        format!("{ADDRESS}+PONG\r\n{ADDRESS}")
    });
    assert_eq!(answers(&port, &["SENTINEL get-master-addr-by-name Mymaster"]), "*-1\r\n");
    assert_eq!(answers(&port, &["HELLO 3", "SENTINEL get-master-addr-by-name nobody"]), "_\r\n");
}

#[test]
fn whether_answers_are_wanted_counts() {
    let port = Port::open();
    let skipped = ["CLIENT REPLY SKIP", QUESTION, QUESTION];
    assert_eq!(answers(&port, &skipped), ADDRESS);
    assert_eq!(
        answers(&port, &["CLIENT REPLY OFF", QUESTION, "CLIENT REPLY ON", QUESTION]),
        format!("+OK\r\n{ADDRESS}")
    );
}

#[test]
fn a_subscriber_may_ask_in_resp3_only() {
    let port = Port::open();
    let refused = answers(&port, &["SUBSCRIBE a", QUESTION]);
    assert!(refused.contains("-ERR Can't execute 'sentinel|get-master-addr-by-name'"), "{refused}");
    assert!(answers(&port, &["HELLO 3", "SUBSCRIBE a", QUESTION]).ends_with(ADDRESS));
}

#[test]
fn who_may_not_ask_is_refused() {
    let port = Port::with(|_| {}, Some("secret"));
    assert_eq!(answers(&port, &[QUESTION]), "-NOAUTH Authentication required.\r\n");
    assert_eq!(answers(&port, &["AUTH secret", QUESTION]), format!("+OK\r\n{ADDRESS}"));
    let rule = "ACL SETUSER reader on >p +@all -sentinel|get-master-addr-by-name";
    port.connect().ask("AUTH secret").expect("+OK\r\n").ask(rule).expect("+OK\r\n");
    let refused = answers(&port, &["AUTH reader p", QUESTION]);
    assert!(refused.starts_with("+OK\r\n-NOPERM "), "{refused}");
    // Also when the permission is taken from one who is asking.
    let mut asking = port.connect();
    asking.send(array("AUTH secret") + &array(QUESTION)).expect("+OK\r\n").expect(ADDRESS);
    port.connect().ask("AUTH secret").expect("+OK\r\n").ask("ACL SETUSER default -sentinel").expect("+OK\r\n");
    assert!(asking.send(array(QUESTION)).line().starts_with("-NOPERM "));
}

#[test]
fn a_renamed_command_has_its_new_name_only() {
    let renames = vec![("sentinel".to_owned(), "guard".to_owned())];
    let port = Port::with(|settings| settings.rename_commands = renames, None);
    let refused = answers(&port, &[QUESTION]);
    assert!(refused.starts_with("-ERR unknown command"), "{refused}");
    assert_eq!(answers(&port, &["GUARD get-master-addr-by-name mymaster"]), ADDRESS);
}

#[test]
fn it_is_counted_and_shown() {
    let port = Port::open();
    let mut asking = port.connect();
    let mut watching = port.connect();
    let mut processed = || {
        let info = watching.ask("INFO stats").text();
        let field = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        field.and_then(|value| value.parse::<u64>().ok()).expect("a counter")
    };
    let before = processed();
    asking.send(array(QUESTION).repeat(1_000)).expect(ADDRESS.repeat(1_000));
    assert_eq!(processed() - before, 1_001);
    let list = watching.ask("CLIENT LIST").text();
    assert!(list.contains(" cmd=sentinel|get-master-addr-by-name "), "{list}");
}
