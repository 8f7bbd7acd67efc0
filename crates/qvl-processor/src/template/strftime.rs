//! `strftime_now` for chat templates: the date and time in UTC, in C's `strftime` notation.

use std::time::{Duration, SystemTime};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// `format` filled in for `time`; conversions this does not know stay as they are.
pub(super) fn strftime(format: &str, time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let moment = Moment::new(since.as_secs());
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let unpadded = chars.next_if_eq(&'-').is_some();
        let Some(conversion) = chars.next() else {
            out.push('%');
            break;
        };
        match moment.convert(conversion) {
            Some(text) if unpadded => {
                let trimmed = text.trim_start_matches('0');
                out.push_str(if trimmed.is_empty() { "0" } else { trimmed });
            }
            Some(text) => out.push_str(&text),
            None => out.extend(['%', conversion]),
        }
    }
    out
}

/// A second of the calendar.
struct Moment {
    year: u64,
    /// From 0.
    month: usize,
    /// From 1.
    day: u64,
    /// From 1.
    day_of_year: u64,
    days_since_1970: u64,
    second_of_day: u64,
}

impl Moment {
    fn new(seconds: u64) -> Moment {
        let days = seconds / 86_400;
        let (mut year, mut left) = (1970, days);
        while left >= year_days(year) {
            left -= year_days(year);
            year += 1;
        }
        let day_of_year = left + 1;
        let mut month = 0;
        while left >= month_days(year, month) {
            left -= month_days(year, month);
            month += 1;
        }
        Moment { year, month, day: left + 1, day_of_year, days_since_1970: days, second_of_day: seconds % 86_400 }
    }

    fn convert(&self, conversion: char) -> Option<String> {
        let hour = self.second_of_day / 3600;
        let weekday = DAYS[(self.days_since_1970 % 7) as usize];
        let month = MONTHS[self.month.min(11)];
        Some(match conversion {
            'Y' => self.year.to_string(),
            'y' => format!("{:02}", self.year % 100),
            'm' => format!("{:02}", self.month + 1),
            'B' => month.to_owned(),
            'b' => month[..3].to_owned(),
            'd' => format!("{:02}", self.day),
            'j' => format!("{:03}", self.day_of_year),
            'A' => weekday.to_owned(),
            'a' => weekday[..3].to_owned(),
            'H' => format!("{hour:02}"),
            'I' => format!("{:02}", (hour + 11) % 12 + 1),
            'p' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            'M' => format!("{:02}", self.second_of_day / 60 % 60),
            'S' => format!("{:02}", self.second_of_day % 60),
            '%' => "%".to_owned(),
            _ => return None,
        })
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn year_days(year: u64) -> u64 {
    365 + u64::from(is_leap(year))
}

fn month_days(year: u64, month: usize) -> u64 {
    match month {
        1 => 28 + u64::from(is_leap(year)),
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, format: &str) -> String {
        strftime(format, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn follows_the_calendar() {
        assert_eq!(at(0, "%Y-%m-%d %H:%M:%S %A %j"), "1970-01-01 00:00:00 Thursday 001");
        assert_eq!(at(951_782_400, "%d %b %Y, %a"), "29 Feb 2000, Tue");
        assert_eq!(at(1_795_219_199, "%B %-d %y %I:%M %p %%"), "November 20 26 11:59 PM %");
        assert_eq!(at(1_798_761_599, "%j %d %B"), "365 31 December");
    }

    #[test]
    fn leaves_what_it_does_not_know() {
        assert_eq!(at(0, "%Q 100%"), "%Q 100%");
    }
}
