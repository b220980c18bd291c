//! Numbers in sentences, as every message writes them.

/// `47,990,112`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `8,004 rows`
pub fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 47_990_112].map(grouped), ["0", "999", "1,000", "47,990,112"]);
    }

    #[test]
    fn one_is_one_and_all_others_are_several() {
        let said = [0, 1, 8_004].map(|number| counted(number, "row was", "rows were"));
        assert_eq!(said, ["0 rows were", "1 row was", "8,004 rows were"]);
    }
}
