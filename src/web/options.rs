//! Row options as requests give them: query parameters, form fields, or a JSON object; all by the same names.

use serde_json::Value;

use crate::rows::RowOptions;

use super::errors::Problem;

/// Options by name, each with all its values, in the order given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked(Vec<(String, Vec<String>)>);

impl Asked {
    pub fn of_query(pairs: Vec<(String, String)>) -> Self {
        let mut asked = Self::default();
        for (name, value) in pairs {
            asked.add(&name, value);
        }
        asked
    }

    /// `{"zone": "Europe/Berlin", "columns": {"id": "Kunde"}, "formats": ["%d.%m.%Y"], "trim": true}`.
    pub fn of_json(value: &Value) -> Result<Self, Problem> {
        let bad = |text: String| Problem::bad_request("bad_option", text);
        let object = value.as_object().ok_or_else(|| bad("options are given as a JSON object".into()))?;
        let mut asked = Self::default();
        for (name, value) in object {
            let values = match value {
                Value::Array(items) => items.iter().map(text).collect(),
                Value::Object(pairs) => {
                    let pairs = pairs.iter().map(|(field, column)| Some(format!("{field}={}", text(column)?)));
                    pairs.collect::<Option<Vec<_>>>().map(|pairs| vec![pairs.join(",")])
                }
                value => text(value).map(|text| vec![text]),
            };
            asked.0.push((name.clone(), values.ok_or_else(|| bad(format!("the value of \"{name}\" is not text")))?));
        }
        Ok(asked)
    }

    /// Adds one value; forms send an empty one for a field that was left alone.
    pub fn add(&mut self, name: &str, value: String) {
        if value.is_empty() {
            return;
        }
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(value),
            None => self.0.push((name.into(), vec![value])),
        }
    }

    /// Takes out what is no row option: a yes or no.
    pub fn take_flag(&mut self, name: &str) -> Result<bool, Problem> {
        let Some(at) = self.0.iter().position(|(known, _)| known == name) else { return Ok(false) };
        match self.0.remove(at).1.as_slice() {
            [value] if matches!(value.as_str(), "true" | "1" | "yes" | "on") => Ok(true),
            [value] if matches!(value.as_str(), "false" | "0" | "no" | "off") => Ok(false),
            _ => Err(Problem::bad_request("bad_option", format!("{name} is either true or false"))),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `base` with what was asked for.
    pub fn over(&self, base: &RowOptions) -> Result<RowOptions, Problem> {
        let mut options = base.clone();
        for (name, values) in &self.0 {
            options.assign(name, &values.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        // Together: one alone may contradict what another changes.
        options.check()?;
        Ok(options)
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_form_and_json_give_the_same_options() {
        let pairs = [("zone", "Europe/Berlin"), ("formats", "%Y/%m/%d"), ("formats", "%d.%m.%Y"), ("trim", "true")];
        let pairs = pairs.into_iter().chain([("columns", "id=Kunde"), ("encoding", "")]);
        let query = Asked::of_query(pairs.map(|(name, value)| (name.into(), value.into())).collect());
        let json = serde_json::json!({
            "zone": "Europe/Berlin", "formats": ["%Y/%m/%d", "%d.%m.%Y"], "trim": true, "columns": {"id": "Kunde"},
        });
        let options = query.over(&RowOptions::default()).unwrap();
        assert_eq!(options, Asked::of_json(&json).unwrap().over(&RowOptions::default()).unwrap());
        assert_eq!((options.columns.id.as_str(), options.trim, options.formats.len()), ("Kunde", true, 2));
    }

    #[test]
    fn an_unknown_option_is_refused_by_name() {
        let asked = Asked::of_query(vec![("zonne".into(), "UTC".into())]);
        let problem = asked.over(&RowOptions::default()).unwrap_err();
        assert!(problem.detail.contains("zonne"), "{}", problem.detail);
    }

    #[test]
    fn flags_are_taken_out() {
        let mut asked = Asked::of_query(vec![("restart".into(), "true".into())]);
        assert!(asked.take_flag("restart").unwrap());
        assert!(asked.is_empty());
        assert!(!asked.take_flag("restart").unwrap());
        asked.add("restart", "maybe".into());
        assert!(asked.take_flag("restart").is_err());
    }
}
