//! The one statement of a job. Spark's fields are separated by 0x01 without Hive, whatever its manual says, so the tab
//! is named on both sides of both commands.

use std::fmt::Write as _;

use super::task::{self, Plan};
use crate::{error::Result, load::index::Segment};

const TABS: &str = r"ROW FORMAT DELIMITED FIELDS TERMINATED BY '\t'";

/// Cleans the chunks and makes the parts; gives the rows that `Collected` takes. `command` is the executable on the
/// executors: the configuration lets nothing into it that ends a literal.
pub fn statement(plan: &Plan, chunks: &[Segment], command: &str) -> Result<String> {
    let (upload, fence, existing, ranges) = (plan.upload, plan.fence, plan.options.existing, plan.ranges());
    let mut sql = format!(
        "SELECT TRANSFORM(k, id, line, good, conflicting, name, time_of_start) {TABS} \
         USING '{command} spark-part --upload {upload} --fence {fence} --existing {existing}' \
         AS (what STRING, told STRING) {TABS} \
         FROM (SELECT /*+ REPARTITION({ranges}, k) */ * FROM (\
         SELECT TRANSFORM(plan, chunk) {TABS} USING '{command} spark-clean' \
         AS (k INT, id STRING, line BIGINT, good STRING, conflicting STRING, name STRING, time_of_start STRING) {TABS} \
         FROM (SELECT '{}' AS plan, chunk FROM VALUES ",
        task::encode(plan)?
    );
    for (number, chunk) in chunks.iter().enumerate() {
        let separator = if number > 0 { ", " } else { "" };
        // Writing to text never fails.
        let _ = write!(sql, "{separator}('{}')", task::encode(chunk)?);
    }
    sql.push_str(" AS chunks(chunk))) SORT BY k, id, line)");
    Ok(sql)
}
