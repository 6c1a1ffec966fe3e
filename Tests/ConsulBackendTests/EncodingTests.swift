// What goes over the wire and comes back, without any wire.

import TestSupport
import Testing

@testable import ConsulBackend

private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite struct EncodingTests {
  @Test(arguments: [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
    ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
  ])
  func base64OfRFC4648(_ plain: String, _ encoded: String) {
    #expect(Base64.encode(bytes(plain)) == encoded)
    #expect(Base64.decode(bytes(encoded)[...]) == bytes(plain))
  }

  @Test(arguments: ["Zg=", "Z", "Zg=a", "Z===", "Zm9v====", "Zm9 ", "Zm9-", "====", "=Zg="])
  func notBase64(_ encoded: String) {
    #expect(Base64.decode(bytes(encoded)[...]) == nil)
  }

  @Test func base64RoundTrips() {
    let seed = TestSeed()
    var random = seed.generator
    for count in 0..<200 {
      let value = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      #expect(Base64.decode(bytes(Base64.encode(value))[...]) == value, "\(seed)")
    }
  }

  @Test func transactionBody() {
    let body = TransactionEncoding.encode(
      [
        .set(key: "a", value: bytes("hi")), .cas(key: "b\"\\\n\u{1f}é", value: [], index: 0),
        .delete(key: "c"), .deleteCAS(key: "d", index: .max), .checkIndex(key: "e", index: 5),
        .checkNotExists(key: "f"), .get(key: "g"), .getTree(prefix: "h/"),
      ], namespace: nil, partition: nil)
    #expect(
      text(body) == #"[{"KV":{"Verb":"set","Key":"a","Value":"aGk="}},"#
        + #"{"KV":{"Verb":"cas","Key":"b\"\\\n\u001fé","Value":""}},"#
        + #"{"KV":{"Verb":"delete","Key":"c"}},"#
        + #"{"KV":{"Verb":"delete-cas","Key":"d","Index":18446744073709551615}},"#
        + #"{"KV":{"Verb":"check-index","Key":"e","Index":5}},"#
        + #"{"KV":{"Verb":"check-not-exists","Key":"f"}},"#
        + #"{"KV":{"Verb":"get","Key":"g"}},{"KV":{"Verb":"get-tree","Key":"h/"}}]"#)
    #expect(text(TransactionEncoding.encode([], namespace: nil, partition: nil)) == "[]")
    let placed = TransactionEncoding.encode([.get(key: "a")], namespace: "n", partition: "p")
    #expect(
      text(placed)
        == #"[{"KV":{"Verb":"get","Key":"a","Namespace":"n","Partition":"p"}}]"#)
  }

  @Test func targetsKeepTheirKeys() throws {
    var settings = ConsulSettings()
    settings.address = "http://proxy.test/consul"
    settings.datacenter = "dc&1"
    settings.namespace = "n"
    settings.partition = "p"
    let configuration = try ConsulConfiguration(settings, environment: [:])
    let target = RequestTarget.make(
      configuration, path: "/v1/kv/" + RequestTarget.path("a b/=?#%é"), query: ["keys"])
    #expect(
      target == "/consul/v1/kv/a%20b/%3D%3F%23%25%C3%A9?keys&dc=dc%261&ns=n&partition=p")
  }

  @Test func repliesAreRead() throws {
    let list = """
      [{"LockIndex":0,"Key":"a\\/\\u00e9\\ud83d\\ude00\\n","Flags":18446744073709551615,
        "Value":"aGk=","CreateIndex":3,"ModifyIndex":4,"Session":"x","New":{"a":[1.5e3,true,{}]}},
       {"Key":"b","Value":null,"CreateIndex":5,"ModifyIndex":6,"Flags":0}]
      """
    #expect(
      try ConsulReplies.entries(bytes(list)) == [
        KVEntry(key: "a/é😀\n", value: bytes("hi"), createIndex: 3, modifyIndex: 4, flags: .max),
        KVEntry(key: "b", value: [], createIndex: 5, modifyIndex: 6, flags: 0),
      ])
    #expect(try ConsulReplies.names(bytes(#" ["a","b/"] "#)) == ["a", "b/"])
    #expect(try ConsulReplies.names(bytes("[]")).isEmpty)
    #expect(try ConsulReplies.leader(bytes(#""127.0.0.1:8300""#)) == "127.0.0.1:8300")
    #expect(try ConsulReplies.leader(bytes(#""""#)) == nil)
    #expect(try ConsulReplies.results(bytes(#"{"Results":null,"Errors":null}"#)).isEmpty)
  }

  /// What is expected saves work and decides nothing: the result is what the reply says.
  @Test(arguments: [
    #"{"KV":{"LockIndex":0,"Key":"a/b","Flags":0,"Value":null,"CreateIndex":7,"ModifyIndex":9}}"#,
    #"{"KV":{"LockIndex":0,"Key":"a/c","Flags":0,"Value":null,"CreateIndex":7,"ModifyIndex":9}}"#,
    #"{"KV":{"LockIndex":0,"Key":"a/b","Flags":0,"Value":"aGk=","CreateIndex":7,"ModifyIndex":9}}"#,
    #"{"KV":{"LockIndex":0,"Key":"a/b","Flags":3,"Value":null,"CreateIndex":7,"ModifyIndex":9}}"#,
    #"{"KV":{"LockIndex":1,"Key":"a/b","Flags":0,"Value":null,"CreateIndex":7,"ModifyIndex":9}}"#,
    #"{"KV":{"Key":"a/b","ModifyIndex":9,"Partition":"p","Value":""}}"#,
    #"{ "KV": {"Key": "a\/b", "ModifyIndex": 9, "Value": null } }"#,
    #"{"KV":{"LockIndex":0,"Key":"a\/b","Flags":0,"Value":null,"CreateIndex":7,"ModifyIndex":9}}"#,
    #"{"KV":{"LockIndex":0,"Key":"a/b","Flags":0,"Value":null,"CreateIndex":7,"ModifyIndex":9},"x":1}"#,
  ])
  func resultsAreWhatTheReplySays(_ result: String) throws {
    let body = bytes(#"{"Results":[\#(result),\#(result)],"Errors":null}"#)
    let plain = try ConsulReplies.results(body)
    #expect(plain.count == 2 && plain[0] == plain[1] && plain[0].modifyIndex == 9)
    for keys in [["a/b", "a/b"], ["a/b"], ["", "a/b"], ["a\\/b", "a\\/b"], ["a/bc", "a"]] {
      #expect(try ConsulReplies.results(body, expecting: keys) == plain)
    }
    for cut in body.indices.dropFirst(12) {
      let part = Array(body[..<cut])
      #expect(throws: JSONError.self) {
        try ConsulReplies.results(part, expecting: ["a/b", "a/b"])
      }
    }
    let never = bytes(
      #"{"Results":[{"KV":{"LockIndex":0,"Key":"a/b","Flags":0,"Value":null,"#
        + #""CreateIndex":0,"ModifyIndex":0}}]}"#)
    #expect(throws: JSONError.self) { try ConsulReplies.results(never, expecting: ["a/b"]) }
  }

  @Test func aReplyThatIsTooDeep() {
    notTheReplyExpected(
      #"[{"Key":"a","ModifyIndex":1,"x":"# + String(repeating: "[", count: 100_000))
  }

  @Test(arguments: [
    "", " ", "null", "[", "[{]", "[{}]", #"[{"Key":"a"}]"#, #"[{"Key":"a","ModifyIndex":0}]"#,
    #"[{"Key":"a","ModifyIndex":-1}]"#, #"[{"Key":"a","ModifyIndex":1.5}]"#,
    #"[{"Key":"a","ModifyIndex":18446744073709551616}]"#, #"[{"Key":"a","ModifyIndex":01}]"#,
    #"[{"Key":"a","ModifyIndex":1,}]"#, #"[{"Key":"a","ModifyIndex":1}],"#,
    #"[{"Key":"a","ModifyIndex":1} {}]"#, #"[{"Key":"a","ModifyIndex":1,"Value":"a"}]"#,
    #"[{"Key":"a\q","ModifyIndex":1}]"#, #"[{"Key":"a\u12g4","ModifyIndex":1}]"#,
    #"[{"Key":"a","ModifyIndex":"1"}]"#, #"[{"Key":1,"ModifyIndex":1}]"#, #"[{"Key":"a"#,
    #"[{"Key":"a\"#, "[{\"Key\":\"a\nb\",\"ModifyIndex\":1}]", "<html></html>",
    #"[{"Key":"a","ModifyIndex":1,"x":nul}]"#,
  ])
  func notTheReplyExpected(_ reply: String) {
    #expect(throws: JSONError.self) { try ConsulReplies.entries(bytes(reply)) }
  }

  /// Every cut and every changed byte of a good reply is read or refused, and never traps.
  @Test func damagedRepliesNeverTrap() {
    let seed = TestSeed()
    print(seed)  // a trap would not say it
    var random = seed.generator
    let good = bytes(#"{"Results":[{"KV":{"Key":"k\u00e9","Value":"aGk=","ModifyIndex":9}}]}"#)
    for cut in good.indices {
      #expect(throws: JSONError.self) { try ConsulReplies.results(Array(good[..<cut])) }
    }
    for _ in 0..<2000 {
      var damaged = good
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        damaged[Int.random(in: good.indices, using: &random)] = .random(in: 0...255, using: &random)
      }
      _ = try? ConsulReplies.results(damaged)
      _ = try? ConsulReplies.errors(damaged)
      _ = try? ConsulReplies.agent(damaged)
    }
  }
}
