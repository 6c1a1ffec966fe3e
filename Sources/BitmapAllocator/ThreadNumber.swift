// A small number for each thread, so that threads can be sent to different places: 0, 1, 2, … in
// the order of first asking, and others for those that meet. Kept in the thread itself, no allocation, a few nanoseconds to read.

internal import Glibc
internal import Synchronization

enum ThreadNumber {
  /// The calling thread's number. O(1).
  static var current: Int {
    // The key holds number + 1, since a thread that never asked finds 0 there.
    let known = Int(bitPattern: pthread_getspecific(key))
    if known > 0 { return known - 1 }
    let number = next.add(1, ordering: .relaxed).oldValue
    pthread_setspecific(key, UnsafeRawPointer(bitPattern: number + 1))
    return number
  }

  /// The calling thread has another number from now on: where its number sent it was somebody else.
  /// Threads that meet part in this way, whatever their numbers have in common. O(1).
  static func moveOn() {
    let other = (current &+ 1) & Int(Int32.max)
    pthread_setspecific(key, UnsafeRawPointer(bitPattern: other + 1))
  }

  private static let next = Atomic<Int>(0)

  /// If the system has no key left, numbers change from call to call, which costs speed only.
  private static let key: pthread_key_t = {
    var key = pthread_key_t.max
    pthread_key_create(&key, nil)
    return key
  }()
}
