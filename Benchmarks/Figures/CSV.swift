/// Rows as RFC 4180 has them: fields with a comma, a quote or an end of line in quotes, a quote
/// doubled. Lines end with a line feed alone, as tools here expect.
public func csv(_ rows: [[String]]) -> String {
  rows.map { row in row.map(field).joined(separator: ",") + "\n" }.joined()
}

private func field(_ text: String) -> String {
  guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
  return "\""
    + text.split(separator: "\"", omittingEmptySubsequences: false)
    .joined(separator: "\"\"") + "\""
}
