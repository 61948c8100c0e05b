//! The table of instruction counts and what a new run says about it.

use std::fmt;
use std::str::FromStr;

const HEADER: &str = "# scenario\tinstructions\ttolerance, percent";

/// One scenario with its count.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub name: String,
    /// Instructions of one run; never 0.
    pub count: u64,
    /// Growth that is no regression, in percent.
    pub tolerance: f64,
}

/// Counts as recorded, in order.
#[derive(Clone, PartialEq, Debug)]
pub struct Table(Vec<Row>);

/// A line that is not `name<TAB>count<TAB>tolerance`.
#[derive(Debug)]
pub struct ParseError {
    line: usize,
}

/// What a run says about one scenario.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// Within the tolerance either way. `change` in percent.
    Same { name: String, count: u64, change: f64 },
    /// Fewer instructions: not wrong, yet the next regression would hide in the difference until it is recorded.
    Better { name: String, count: u64, change: f64 },
    /// More instructions than the recorded tolerance allows.
    Regression { name: String, count: u64, change: f64 },
    /// Counted, but not in the table.
    Unrecorded { name: String, count: u64 },
    /// In the table, but not counted: a scenario was lost.
    Missing { name: String },
}

impl Outcome {
    /// Whether the check fails because of it.
    pub fn fails(&self) -> bool {
        match self {
            Self::Same { .. } | Self::Better { .. } => false,
            Self::Regression { .. } | Self::Unrecorded { .. } | Self::Missing { .. } => true,
        }
    }
}

impl Table {
    /// The table that records a run.
    pub fn of(rows: &[Row]) -> Self {
        Self(rows.to_vec())
    }

    /// Compares a run with the table: an outcome for each scenario counted, then for each that was not.
    pub fn compare(&self, run: &[Row]) -> Vec<Outcome> {
        let counted = run.iter().map(|row| {
            let (name, count) = (row.name.clone(), row.count);
            let Some(recorded) = self.0.iter().find(|recorded| recorded.name == row.name) else {
                return Outcome::Unrecorded { name, count };
            };
            let change = (count as f64 - recorded.count as f64) * 100.0 / recorded.count as f64;
            if change > recorded.tolerance {
                Outcome::Regression { name, count, change }
            } else if change < -recorded.tolerance {
                Outcome::Better { name, count, change }
            } else {
                Outcome::Same { name, count, change }
            }
        });
        let lost = self.0.iter().filter(|recorded| !run.iter().any(|row| row.name == recorded.name));
        counted.chain(lost.map(|row| Outcome::Missing { name: row.name.clone() })).collect()
    }
}

impl FromStr for Table {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
        let rows = lines.map(|(at, line)| {
            let row = || {
                let [name, count, tolerance] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
                let count: u64 = count.parse().ok().filter(|count| *count > 0)?;
                Some(Row { name: name.to_owned(), count, tolerance: tolerance.parse().ok()? })
            };
            row().ok_or(ParseError { line: at + 1 })
        });
        rows.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        self.0.iter().try_for_each(|row| writeln!(f, "{}\t{}\t{}", row.name, row.count, row.tolerance))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, count: u64, change: f64, word: &str| {
            write!(f, "{name:32} {count:>12} {change:>+7.1} %  {word}")
        };
        match self {
            Self::Same { name, count, change } => line(name, *count, *change, ""),
            Self::Better { name, count, change } => line(name, *count, *change, "better: record it"),
            Self::Regression { name, count, change } => line(name, *count, *change, "REGRESSION"),
            Self::Unrecorded { name, count } => {
                write!(f, "{name:32} {count:>12}  NOT IN THE TABLE: record it")
            }
            Self::Missing { name } => write!(f, "{name:32} {:>12}  NOT COUNTED: its scenario is gone", "-"),
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {} of the table of counts: expected a name, a count and a tolerance between tabs",
            self.line
        )
    }
}

impl std::error::Error for ParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, count: u64) -> Row {
        Row { name: name.to_owned(), count, tolerance: 3.0 }
    }

    /// The scenarios for which a check of `run` fails, as printed.
    fn failures(table: &[Row], run: &[Row]) -> Vec<String> {
        let outcomes = Table::of(table).compare(run);
        outcomes.iter().filter(|outcome| outcome.fails()).map(ToString::to_string).collect()
    }

    #[test]
    fn only_growth_beyond_the_tolerance_fails_and_is_named() {
        for (count, fails) in [(1000, false), (1030, false), (1031, true), (970, false), (500, false)] {
            let failed =
                failures(&[row("url/plain", 1000), row("dlp", 7)], &[row("url/plain", count), row("dlp", 7)]);
            assert_eq!(failed.len(), usize::from(fails), "{count}: {failed:?}");
            assert!(failed.iter().all(|line| line.starts_with("url/plain ") && line.contains("REGRESSION")));
        }
    }

    #[test]
    fn a_scenario_without_a_row_and_a_row_without_a_scenario_fail_by_name() {
        let failed = failures(&[row("known", 5), row("lost", 5)], &[row("known", 5), row("new", 5)]);
        assert_eq!(failed.len(), 2);
        assert!(failed[0].starts_with("new ") && failed[0].contains("NOT IN THE TABLE"), "{}", failed[0]);
        assert!(failed[1].starts_with("lost ") && failed[1].contains("NOT COUNTED"), "{}", failed[1]);
    }

    #[test]
    fn the_table_is_read_as_it_was_written_and_a_broken_line_is_named() {
        let table = Table::of(&[row("a/b", 12), Row { tolerance: 12.5, ..row("c", 3) }]);
        assert_eq!(table.to_string().parse::<Table>().unwrap(), table);
        let recorded = include_str!("../instructions.tsv").parse::<Table>().unwrap();
        assert!(!recorded.0.is_empty());
        for broken in ["a 1 3", "a\t1", "a\t0\t3", "a\tx\t3", "a\t1\t3\t4", ""] {
            let error = format!("{HEADER}\n{broken}\n").parse::<Table>().unwrap_err().to_string();
            assert!(error.contains("line 2 "), "{broken:?}: {error}");
        }
    }
}
