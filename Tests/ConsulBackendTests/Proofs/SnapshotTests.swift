// "Exhausted" is said on the proof alone: one atomic reading that a quorum stands behind.

import AddressSpace
import IPAM
import IPAMTesting
import Synchronization
import TestSupport
import Testing

@testable import ConsulBackend

extension Proofs {
  @Suite(.serialized) struct SnapshotTests {
    private static let server = Task { try await ConsulServer.start() }
    private var deadline: Deadline { Surroundings.system.deadline(inMilliseconds: 30_000) }

    /// Definition and chunks in one transaction, read consistently, after all that the node had seen.
    @Test func exhaustionIsReadConsistently() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork(["10.1.0.0/29"])
      let proxy = try FaultyProxy(server)
      let process = try Process(proxy.address, network)
      for index in 0..<5 { try await process.add("c\(index)") }
      let before = proxy.requests.count
      guard case .exhausted? = await process.failureOfAdd("c5") else {
        Issue.record("there is no sixth address")
        return
      }
      let proofs = proxy.requests[before...].filter { request in
        request.hasPrefix("PUT /v1/txn?") && request.contains("/net/config\"")
          && request.contains("/net/pools/") && !request.contains("\"cas\"")
      }
      #expect(proofs.count == 1)
      #expect(
        proofs.allSatisfy { $0.prefix { !$0.isNewline }.contains("?consistent ") }, "\(proofs)")
      await process.client.shutdown()
    }

    /// More keys than a transaction may read, of which two always change together: what is answered was
    /// so at one moment, though they change while it is read.
    @Test func manyKeysAtOneMoment() async throws {
      let server = try await Self.server.value
      let network = try TestNetwork()
      let proxy = try FaultyProxy(server)
      let store = try Process(proxy.address, network).store
      let writer = try Process(server.address, network).store
      let keys = (1...150).map { StoreKey.bulk(token: $0) }
      let names = keys.compactMap(store.schema.name)
      @Sendable func value(_ number: UInt64) -> StoreValue {
        .bulk([OffsetRange(first: Offset(number), last: Offset(number))].compactMap { $0 })
      }
      for key in keys {
        _ = await writer.commit(
          [.put(key, value(0), expected: .absent)], cursors: [:], deadline: deadline)
      }
      // The first and the last key that a pass reads.
      let order = Mutex<[String]>([])
      let count = Counter()
      proxy.setRule { request in
        guard request.isTransaction, request.operations <= 64 else { return .pass }
        let read = names.filter { request.text.contains("\"\($0)\"") }
        let pair = order.withLock { order in
          if order.count < 2 { order.append(read[0]) }
          return order
        }
        guard pair.count == 2, count.value < 9 else { return .pass }
        count.add()
        let body = pair.map { name in
          let bytes = RecordCodec.encode(value(UInt64(count.value))) ?? []
          var text: [UInt8] = []
          Base64.append(bytes, to: &text)
          return
            #"{"KV":{"Verb":"set","Key":"\#(name)","Value":"\#(String(decoding: text, as: UTF8.self))"}}"#
        }
        _ = try? server.request("PUT", "/v1/txn", body: "[\(body.joined(separator: ","))]")
        return .pass
      }
      let answer = try await store.read(Set(keys), consistency: .snapshot, deadline: deadline)
      let pair = order.withLock { $0 }
      let seen = keys.filter { pair.contains(store.schema.name($0) ?? "") }.map {
        answer[$0]?.value
      }
      #expect(count.value == 9 && seen.count == 2 && answer.count == 150)
      #expect(seen[0] == seen[1] && seen[0] == value(9))
      await store.shutdown()
      await writer.shutdown()
    }
  }
}
