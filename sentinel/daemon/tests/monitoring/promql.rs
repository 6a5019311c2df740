//! Which labels a query asks for, and whether they exist: a reader of `PromQL` as far as the board and the rules use
//! it.
//!
//! It knows nothing of values, and reads only what it understands: anything else is an error, so that no name passes
//! unread.

use std::collections::BTreeSet;

/// Names of labels.
pub(crate) type Labels = BTreeSet<String>;

/// The labels of a metric by its name; none for one that is not served.
pub(crate) type Known<'a> = &'a dyn Fn(&str) -> Option<Labels>;

const AGGREGATIONS: &[&str] = &["avg", "count", "group", "max", "min", "sum"];
const FUNCTIONS: &[&str] = &["changes", "histogram_quantile", "increase", "rate", "time", "vector"];
const OPERATORS: &[&str] = &["+", "-", "*", "/", "%", "^", "==", "!=", ">=", "<=", ">", "<", "and", "or", "unless"];

/// The labels that the result of a query has; or the first thing in it that is wrong.
pub(crate) fn labels_of(query: &str, known: Known<'_>) -> Result<Labels, String> {
    let mut reader = Reader { tokens: tokens(query)?, at: 0, known };
    let labels = reader.expression()?;
    match reader.peek() {
        "" => Ok(labels),
        rest => Err(format!("{rest:?} is too much")),
    }
}

struct Reader<'a> {
    tokens: Vec<&'a str>,
    at: usize,
    known: Known<'a>,
}

impl<'a> Reader<'a> {
    /// The next token; empty at the end.
    fn peek(&self) -> &'a str {
        self.tokens.get(self.at).copied().unwrap_or_default()
    }

    fn next(&mut self) -> &'a str {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        match self.next() {
            found if found == wanted => Ok(()),
            found => Err(format!("{found:?} instead of {wanted:?}")),
        }
    }

    fn takes(&mut self, token: &str) -> bool {
        let is_it = self.peek() == token;
        self.at += usize::from(is_it);
        is_it
    }

    /// Operands with operators between them. Which binds closer is no matter for labels.
    fn expression(&mut self) -> Result<Labels, String> {
        let mut labels = self.operand()?;
        while OPERATORS.contains(&self.peek()) {
            self.next();
            self.takes("bool");
            let matching = if matches!(self.peek(), "on" | "ignoring") {
                self.next();
                self.names()?
            } else {
                Labels::new()
            };
            let right = self.operand()?;
            labels.extend(right);
            no_others(&matching, &labels)?;
        }
        Ok(labels)
    }

    fn operand(&mut self) -> Result<Labels, String> {
        let token = self.next();
        let labels = match token {
            "-" => self.operand()?,
            "(" => {
                let labels = self.expression()?;
                self.expect(")")?;
                labels
            }
            _ if token.starts_with(|it: char| it.is_ascii_digit()) => Labels::new(),
            _ if AGGREGATIONS.contains(&token) => self.aggregation()?,
            _ if FUNCTIONS.contains(&token) && self.peek() == "(" => self.function(token)?,
            _ if token.starts_with(is_name) => self.selector(token)?,
            _ => return Err(format!("{token:?} is not understood")),
        };
        if self.takes("[") {
            while !matches!(self.next(), "]" | "") {}
        }
        if self.takes("offset") {
            self.next();
        }
        Ok(labels)
    }

    fn aggregation(&mut self) -> Result<Labels, String> {
        let before = self.grouping()?;
        self.expect("(")?;
        let all = self.expression()?;
        self.expect(")")?;
        let grouping = if before.is_some() { before } else { self.grouping()? };
        let (kept, names) = grouping.unwrap_or((true, Labels::new()));
        no_others(&names, &all)?;
        Ok(if kept { names } else { &all - &names })
    }

    /// `by (…)` or `without (…)`: whether these are kept, and which.
    fn grouping(&mut self) -> Result<Option<(bool, Labels)>, String> {
        let kept = match self.peek() {
            "by" => true,
            "without" => false,
            _ => return Ok(None),
        };
        self.next();
        Ok(Some((kept, self.names()?)))
    }

    fn function(&mut self, name: &str) -> Result<Labels, String> {
        self.expect("(")?;
        let mut labels = Labels::new();
        while !self.takes(")") {
            labels.extend(self.expression()?);
            self.takes(",");
        }
        if name == "histogram_quantile" && !labels.remove("le") {
            return Err("histogram_quantile of what has no le".to_owned());
        }
        Ok(labels)
    }

    fn selector(&mut self, metric: &str) -> Result<Labels, String> {
        let labels = (self.known)(metric).ok_or_else(|| format!("no metric {metric:?} is served"))?;
        if self.takes("{") {
            while !self.takes("}") {
                let name = self.next();
                no_others(&Labels::from([name.to_owned()]), &labels).map_err(|error| format!("{metric}: {error}"))?;
                if !matches!(self.next(), "=" | "!=" | "=~" | "!~") || !self.next().starts_with('"') {
                    return Err(format!("{metric}: {name} is not compared with a text"));
                }
                self.takes(",");
            }
        }
        Ok(labels)
    }

    fn names(&mut self) -> Result<Labels, String> {
        self.expect("(")?;
        let mut names = Labels::new();
        while !self.takes(")") {
            match self.next() {
                name if name.starts_with(is_name) => names.insert(name.to_owned()),
                other => return Err(format!("{other:?} is no name of a label")),
            };
            self.takes(",");
        }
        Ok(names)
    }
}

fn no_others(names: &Labels, among: &Labels) -> Result<(), String> {
    match names.difference(among).next() {
        None => Ok(()),
        Some(name) => Err(format!("there is no label {name:?}, but {among:?}")),
    }
}

fn is_name(it: char) -> bool {
    it.is_ascii_alphabetic() || it == '_' || it == ':'
}

/// Names, texts with their quotes, numbers with their units, and signs.
fn tokens(query: &str) -> Result<Vec<&str>, String> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            // No text here has a quote in it.
            '"' => rest[1..].find('"').map(|end| end + 2).ok_or_else(|| format!("{rest:?} does not end"))?,
            _ if is_name(first) || first.is_ascii_digit() || first == '$' => {
                let more = |it: char| is_name(it) || it.is_ascii_digit() || it == '.';
                rest[1..].find(|it| !more(it)).map_or(rest.len(), |end| end + 1)
            }
            _ if ["==", "!=", ">=", "<=", "=~", "!~"].iter().any(|sign| rest.starts_with(sign)) => 2,
            _ => first.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        tokens.push(token);
        rest = behind.trim_start();
    }
    Ok(tokens)
}
