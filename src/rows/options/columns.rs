//! Which of a file's columns hold a user.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::OptionError;

/// Which column holds what: a header's name, or a position from 1 where there is no header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    pub id: String,
    pub name: String,
    pub time_of_start: String,
}

impl Default for Columns {
    fn default() -> Self {
        Self { id: "id".into(), name: "name".into(), time_of_start: "time_of_start".into() }
    }
}

impl Columns {
    /// Reads `id=Kunde,time_of_start=Beginn`; what is not named stays.
    pub(super) fn set(&mut self, text: &str) -> Result<(), OptionError> {
        for pair in text.split(',') {
            let (field, column) = pair.split_once('=').unwrap_or((pair, ""));
            let column = column.trim();
            if column.is_empty() {
                return Err(OptionError(format!("columns \"{text}\" is not of the form id=COLUMN,name=COLUMN")));
            }
            match field.trim() {
                "id" => self.id = column.into(),
                "name" => self.name = column.into(),
                "time_of_start" => self.time_of_start = column.into(),
                other => {
                    return Err(OptionError(format!(
                        "columns names the field \"{other}\"; the fields are id, name, time_of_start"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Positions from 0 without a header: those given, else 1, 2, 3.
    pub fn positions(&self) -> Result<[usize; 3], OptionError> {
        let default = Self::default();
        let fields = [
            (&self.id, &default.id, 0),
            (&self.name, &default.name, 1),
            (&self.time_of_start, &default.time_of_start, 2),
        ];
        let mut positions = [0; 3];
        for (place, (column, unset, position)) in positions.iter_mut().zip(fields) {
            *place = match column.parse::<usize>() {
                _ if column == unset => position,
                Ok(number) if number > 0 => number - 1,
                _ => {
                    return Err(OptionError(format!(
                        "column \"{column}\" is not a position (1, 2, …), and there is no header"
                    )));
                }
            };
        }
        Ok(positions)
    }

    pub(super) fn check(&self, header: bool) -> Result<(), OptionError> {
        let distinct = if header {
            let keys = [&self.id, &self.name, &self.time_of_start].map(|name| name.to_lowercase());
            keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2]
        } else {
            let [id, name, time] = self.positions()?;
            id != name && id != time && name != time
        };
        if distinct { Ok(()) } else { Err(OptionError("columns names one column for two fields".into())) }
    }
}
