//! The form in which nearly every time comes, `2017-03-07T00:30:54` with or without a fraction and an offset: each
//! digit at its place. What is not of this form, or no possible time, is left to the forms that know why.

use super::moment::{Basis, Fields};

/// `None` also for a time that is not possible.
pub fn read(text: &[u8]) -> Option<(Fields, Basis)> {
    let (time, rest) = text.split_first_chunk::<19>()?;
    let signs = time[4] == b'-' && time[7] == b'-' && time[13] == b':' && time[16] == b':';
    if !signs || !matches!(time[10], b'T' | b't' | b' ') {
        return None;
    }
    let fields = Fields {
        year: pair(time[0], time[1])? * 100 + pair(time[2], time[3])?,
        month: pair(time[5], time[6])?,
        day: pair(time[8], time[9])?,
        hour: pair(time[11], time[12])?,
        minute: pair(time[14], time[15])?,
        second: pair(time[17], time[18])?,
        nanos: 0,
    };
    let (nanos, rest) = match rest {
        [b'.' | b',', fraction @ ..] => nanos(fraction)?,
        _ => (0, rest),
    };
    let basis = match *rest {
        [] => Basis::Zone,
        [b'Z' | b'z'] => Basis::Offset(0),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (pair(h0, h1)?, pair(m0, m1)?);
            if hours >= 24 || minutes >= 60 {
                return None;
            }
            let seconds = (hours * 3600 + minutes * 60) as i32;
            Basis::Offset(if sign == b'-' { -seconds } else { seconds })
        }
        _ => return None,
    };
    Some((Fields { nanos, ..fields }, basis))
}

fn pair(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
}

/// One to nine digits as nanoseconds, and what is behind them.
fn nanos(text: &[u8]) -> Option<(u32, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let (number, rest) = text.split_at(digits);
    let value = number.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    Some((value * 10_u32.pow(9 - digits as u32), rest))
}
