import TestSupport
import Testing

@testable import ConsulBackend

@Suite struct PagesTests {
  /// Every name is on exactly one page, in order, and no page has too many.
  @Test(arguments: [1, 2, 7, 100, 5_000])
  func everyNameOnce(size: Int) {
    var random = SeededGenerator(seed: 7)
    var names: Set<String> = ["p/addresses/0", "p/addresses/0a"]
    for _ in 0..<2_000 {
      names.insert(
        "p/addresses/" + String(UInt32.random(in: 0..<70_000, using: &random), radix: 16))
      names.insert("p/addresses/2001" + String(UInt64.random(in: 0...(.max), using: &random)))
    }
    let pages = ConsulStore.pages(of: names.shuffled(using: &random), size: size)
    var seen: [String] = []
    for page in pages {
      let members = names.filter {
        $0.utf8.count == page.length && $0.hasPrefix(page.beginning)
      }
      #expect(!members.isEmpty && members.count <= max(size, 1), "\(page)")
      seen += members.sorted()
    }
    #expect(seen == names.sorted { ($0.utf8.count, $0) < ($1.utf8.count, $1) })
  }

  @Test func fewNamesAreOnePage() {
    #expect(ConsulStore.pages(of: [], size: 10).isEmpty)
    let pages = ConsulStore.pages(of: ["a/b1", "a/b2"], size: 10)
    #expect(pages == [ConsulStore.Page(beginning: "a/b", length: 4)])
  }
}
