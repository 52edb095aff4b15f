//! Who holds a store's lock file: one line of JSON that the npm package writes and reads, too.

use std::fmt::{self, Write};
use std::iter::Peekable;
use std::str::Chars;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

/// The process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: u32,
    pub(super) host: String,
    /// When it took the lock, as a date of ISO 8601.
    pub(super) since: String,
    /// The process's start as its kernel counts it, which tells two processes with one number apart; `None` where that is
    /// not known.
    pub(super) start: Option<String>,
    /// The pid namespace in which `pid` means the process; `None` where that is not known.
    pub(super) space: Option<String>,
    /// Which part of the process holds the lock, if that may end before the process does.
    pub(super) worker: Option<Worker>,
    pub(super) sign: Sign,
}

/// A worker of Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Worker {
    /// As Node counts them.
    pub(super) number: u32,
    /// Its thread and that one's start as the kernel counts them; `None` where they are not known.
    pub(super) thread: Option<String>,
}

/// How a holder shows that it is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It touches the lock file every few seconds, as the npm package does.
    Heartbeat,
    /// It holds the operating system's lock on the store, as this crate does.
    SystemLock,
}

impl Holder {
    /// The line that says all this.
    pub(super) fn text(&self) -> String {
        let or_null = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), quoted);
        let heartbeat = self.sign == Sign::Heartbeat;
        let (pid, host, since) = (self.pid, quoted(&self.host), quoted(&self.since));
        let (start, space) = (or_null(self.start.as_deref()), or_null(self.space.as_deref()));
        let worker = self.worker.as_ref().map_or_else(String::new, |Worker { number, thread }| {
            format!(",\"worker\":{number},\"thread\":{}", or_null(thread.as_deref()))
        });
        format!(
            "{{\"pid\":{pid},\"host\":{host},\"since\":{since},\"start\":{start},\"space\":{space}{worker},\"heartbeat\":{heartbeat}}}\n"
        )
    }

    /// Reads the line; nothing if it is none, or not yet a whole one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (mut pid, mut host, mut since, mut start) = (None, None, String::new(), None);
        let (mut space, mut number, mut thread) = (None, None, None);
        let mut sign = Sign::Heartbeat;
        let mut reader = Reader(text.chars().peekable());
        reader.expect('{')?;
        loop {
            let name = reader.string()?;
            reader.expect(':')?;
            match (name.as_str(), reader.value()?) {
                ("pid", Value::Word(number)) => pid = number.parse().ok(),
                ("host", Value::Text(text)) => host = Some(text),
                ("since", Value::Text(text)) => since = text,
                ("start", Value::Text(text)) => start = Some(text),
                ("space", Value::Text(text)) => space = Some(text),
                ("worker", Value::Word(word)) => number = word.parse().ok(),
                ("thread", Value::Text(text)) => thread = Some(text),
                ("heartbeat", Value::Word(word)) if word == "false" => sign = Sign::SystemLock,
                _ => {}
            }
            match reader.next()? {
                ',' => {}
                '}' => break,
                _ => return None,
            }
        }
        let worker = number.map(|number| Worker { number, thread });
        Some(Self { pid: pid?, host: host?, since, start, space, worker, sign })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(worker) = &self.worker {
            write!(f, "worker {} of ", worker.number)?;
        }
        write!(f, "process {} on {}, since {}", self.pid, self.host, self.since)
    }
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            // Writing to a string never fails.
            control if control < ' ' => drop(write!(quoted, "\\u{:04x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

enum Value {
    Text(String),
    /// A number, `true`, `false` or `null`, as it is written.
    Word(String),
}

/// Reads a flat object of JSON. Each method skips the space before what it reads, and answers nothing if that is not there.
struct Reader<'a>(Peekable<Chars<'a>>);

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        while self.0.next_if(|character| character.is_ascii_whitespace()).is_some() {}
        self.0.next()
    }

    fn expect(&mut self, expected: char) -> Option<()> {
        (self.next()? == expected).then_some(())
    }

    fn string(&mut self) -> Option<String> {
        self.expect('"')?;
        self.rest_of_string()
    }

    fn value(&mut self) -> Option<Value> {
        let first = self.next()?;
        if first == '"' {
            return self.rest_of_string().map(Value::Text);
        }
        let mut word = String::from(first);
        while let Some(character) = self.0.next_if(|character| character.is_ascii_alphanumeric()) {
            word.push(character);
        }
        word.chars().all(|character| character.is_ascii_alphanumeric()).then_some(Value::Word(word))
    }

    fn rest_of_string(&mut self) -> Option<String> {
        let mut string = String::new();
        loop {
            match self.0.next()? {
                '"' => return Some(string),
                '\\' => string.push(self.escaped()?),
                other => string.push(other),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.0.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            // Half of a surrogate pair becomes U+FFFD: no name of a host has one.
            'u' => char::from_u32(self.four_digits()?).unwrap_or(char::REPLACEMENT_CHARACTER),
            other @ ('"' | '\\' | '/') => other,
            _ => return None,
        })
    }

    fn four_digits(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |number, _| Some(number * 16 + self.0.next()?.to_digit(16)?))
    }
}

/// A moment as a date of ISO 8601 in milliseconds, the way JavaScript writes it.
pub(super) fn date(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // The civil calendar in eras of 400 years from March 1st, 0000 on: https://howardhinnant.github.io/date_algorithms.html
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, next_year) =
        if month_from_march < 10 { (month_from_march + 3, 0) } else { (month_from_march - 9, 1) };
    let year = year_of_era + era * 400 + next_year;
    let (hour, minute, second, milli) =
        (seconds / 3_600, seconds / 60 % 60, seconds % 60, since.subsec_millis());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder() -> Holder {
        Holder {
            pid: 7,
            host: "a \"host\" \\ of\tmine".to_owned(),
            since: "2026-02-03T04:05:06.789Z".to_owned(),
            start: Some("boot:12".to_owned()),
            space: Some("pid:[7]".to_owned()),
            worker: None,
            sign: Sign::SystemLock,
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let others = [
            Holder { start: None, space: None, ..holder() },
            Holder { worker: Some(Worker { number: 3, thread: Some("9:12".to_owned()) }), ..holder() },
            Holder { worker: Some(Worker { number: 3, thread: None }), ..holder() },
            Holder { sign: Sign::Heartbeat, host: "höst".to_owned(), ..holder() },
        ];
        for holder in others.into_iter().chain([holder()]) {
            assert_eq!(Holder::parse(&holder.text()), Some(holder));
        }
    }

    #[test]
    fn what_the_npm_package_writes_can_be_read() {
        let text = r#"{"pid":12,"host":"h\u00f6st\/1","since":"2026-02-03T04:05:06.789Z","start":null,"worker":null}"#;
        let holder = Holder::parse(text).unwrap();
        assert_eq!(holder.host, "höst/1");
        assert_eq!((holder.pid, holder.start, holder.sign), (12, None, Sign::Heartbeat));
        assert_eq!((holder.space, holder.worker), (None, None));
        let spaced = " { \"host\" : \"h\" , \"new\" : true , \"pid\" : 3 } ";
        assert_eq!(Holder::parse(spaced).unwrap().pid, 3);
    }

    #[test]
    fn what_is_no_holder_is_none() {
        let whole = holder().text();
        let whole = whole.trim_end();
        for (end, _) in whole.char_indices() {
            assert_eq!(Holder::parse(&whole[..end]), None, "{}", &whole[..end]);
        }
        for text in ["garbage", "{}", r#"{"pid":1}"#, r#"{"pid":-1,"host":"h"}"#, r#"{"pid":"1","host":"h"}"#]
        {
            assert_eq!(Holder::parse(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let check = |seconds: u64, expected: &str| {
            assert_eq!(date(UNIX_EPOCH + Duration::from_millis(seconds * 1_000 + 5)), expected);
        };
        check(0, "1970-01-01T00:00:00.005Z");
        check(951_782_399, "2000-02-28T23:59:59.005Z");
        check(951_782_400, "2000-02-29T00:00:00.005Z");
        check(951_868_800, "2000-03-01T00:00:00.005Z");
        check(1_767_225_599, "2025-12-31T23:59:59.005Z");
        check(4_107_542_400, "2100-03-01T00:00:00.005Z");
    }
}
