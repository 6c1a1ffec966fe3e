// A chunk as a store keeps it: the bitmap, and a header that makes a write unambiguous.
//
//   incarnation   which definition of the network it belongs to (random, 64 bits)
//   generation    one more with each write
//   writers       tokens of the last four writers, newest first: "was that me?" after a lost reply
//   isMarked      the parent's bit for this chunk is set; a release has to clear it
//   cursor        where the next search begins
//   cooling       released ordinals that wait
//
// Leaves and tree nodes have the same form. Nothing here reads a clock: `now` and `cooldown` are
// whole seconds, passed in.

/// The bitmap of 2^k ordinals (or child chunks) with the header that a store keeps beside it.
public struct Chunk: Hashable, Sendable {
  /// How many writers' tokens a chunk remembers.
  public static let writerLimit = 4

  /// Which ordinals are taken. A cooling ordinal is taken too.
  public var bitmap: ChunkBitmap
  /// The network definition that the chunk belongs to.
  public var incarnation: UInt64
  /// The number of writes so far.
  public var generation: UInt64 = 0
  /// The tokens of the last writers, newest first, at most four.
  public private(set) var writers: [UInt64] = []
  /// Whether the parent's bit for this chunk is set.
  public var isMarked = false
  /// Where the next search begins: 0 … 2^k − 1.
  public internal(set) var cursor = 0
  /// The ordinals that wait after their release.
  public internal(set) var cooling = CoolingBuckets()
  /// What a reader must understand.
  public var features: ChunkFeatures

  /// An empty chunk of 2^`chunkBits` ordinals, never written; k must be 6 … 14. O(words).
  public init(chunkBits: Int, incarnation: UInt64, features: ChunkFeatures = ChunkFeatures()) {
    self.bitmap = ChunkBitmap(chunkBits: chunkBits)
    self.incarnation = incarnation
    self.features = features
  }

  init(
    bitmap: ChunkBitmap, incarnation: UInt64, generation: UInt64, writers: [UInt64],
    isMarked: Bool, cursor: Int, cooling: CoolingBuckets, features: ChunkFeatures
  ) {
    self.bitmap = bitmap
    self.incarnation = incarnation
    self.generation = generation
    self.writers = writers
    self.isMarked = isMarked
    self.cursor = cursor
    self.cooling = cooling
    self.features = features
  }

  /// k. O(1).
  public var chunkBits: Int { bitmap.chunkBits }

  /// Whether each of the `existingBits` ordinals is taken and none cools. O(1).
  public func isFull(existingBits: Int) -> Bool {
    bitmap.takenCount == existingBits && cooling.isEmpty
  }

  /// Counts a write: the generation goes up by one and `token` becomes the newest writer. O(1).
  public mutating func stamp(writer token: UInt64) {
    generation &+= 1
    writers.insert(token, at: 0)
    if writers.count > Self.writerLimit { writers.removeLast() }
  }

  /// Whether `token` is among the last four writers. O(1).
  public func wasWritten(by token: UInt64) -> Bool { writers.contains(token) }
}

/// What a reader must understand before it changes a chunk.
public struct ChunkFeatures: Hashable, Sendable {
  /// Features without which a chunk cannot be read. A reader refuses those that it does not know.
  public struct Incompatible: OptionSet, Hashable, Sendable {
    /// One bit per feature.
    public let rawValue: UInt64

    /// The features whose bits are set. O(1).
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The network holds bits without leases; repair never clears them.
    public static let bare = Incompatible(rawValue: 1)
    /// The features that this version understands.
    public static let known: Incompatible = [.bare]
  }

  /// What a reader must know.
  public var incompatible: Incompatible
  /// What a reader may ignore; unknown bits are kept when the chunk is written again.
  public var compatible: UInt64

  /// The given features, by default none. O(1).
  public init(incompatible: Incompatible = [], compatible: UInt64 = 0) {
    self.incompatible = incompatible
    self.compatible = compatible
  }
}
