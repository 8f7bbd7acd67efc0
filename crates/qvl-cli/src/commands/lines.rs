//! Tables in plain text.

/// Rows below a header: the first column flush left, the others flush right, as wide as they have to be.
pub fn lines(header: &[&str], mut rows: Vec<Vec<String>>) -> String {
    rows.insert(0, header.iter().map(ToString::to_string).collect());
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..header.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(
            |(column, (cell, &width))| {
                if column == 0 { format!("{cell:width$}") } else { format!("{cell:>width$}") }
            },
        );
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows =
            vec![vec!["all".to_owned(), "10".to_owned(), "x".to_owned()], vec!["täsk".to_owned(), "9".to_owned()]];
        assert_eq!(lines(&["group", "n", "mean"], rows), "group   n  mean\nall    10     x\ntäsk    9\n");
    }
}
