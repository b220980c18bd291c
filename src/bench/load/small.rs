//! A small file, where everything but the rows costs time: process start, a new database, the archive.

use std::fs;

use super::plan::{Case, Way};
use crate::{
    LoadArgs, Result,
    product::{Product, Settings},
    report::{CaseReport, WayReport},
    rows, say,
};

const ROWS: u64 = 1000;
const TIMES: usize = 15;

pub fn run(args: &LoadArgs) -> Result<CaseReport> {
    let plan = Case::Small.plan();
    let folder = args.folder.canonicalize()?.join(Case::Small.name());
    fs::create_dir(&folder)?;
    let file = folder.join("users.csv");
    let expected = rows::write(&file, ROWS, &plan.kind)?;
    let (mut rounds, mut failures) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let settings = Settings { server: None, existing: plan.existing, files: &folder, more: &args.settings };
        let product = Product::new(&folder.join("userdata"), &settings)?;
        rounds.push(product.import(&file, None, false)?);
        let counts = product.counts()?;
        if (counts.inserted, counts.duplicates) != (expected.distinct, expected.repeated) {
            failures.push(format!("small: userdata counted {counts:?}, right is {expected:?}"));
        }
    }
    fs::remove_dir_all(&folder)?;
    let way = WayReport { way: Way::Userdata, name: Way::Userdata.name(), rows: ROWS, rounds };
    say(format_args!("small: median of {TIMES} runs {:.3} s", way.median().wall_s));
    let (name, title) = (Case::Small.name(), plan.title);
    Ok(CaseReport { name, title, expected, ways: vec![way], failures, ..CaseReport::default() })
}
