import Foundation

/// The other side answered, and not with what was asked for.
struct HttpRefused: Error {
    let status: Int
}

/// JSON over HTTP with what iOS itself has.
struct JsonHttp: Sendable {
    let base: URL

    /// Throws `HttpRefused`, or `URLError` when the network is down.
    func send(_ method: String, _ path: String, headers: [String: String], body: Data? = nil) async throws -> Data {
        var request = try made(path, headers: headers, timeout: 10)
        request.httpMethod = method
        request.httpBody = body
        if body != nil { request.setValue("application/json", forHTTPHeaderField: "Content-Type") }
        let (data, response) = try await URLSession.shared.data(for: request)
        try check(response)
        return data
    }

    /// An answer line by line, as server-sent events come; nil when there is nothing to read (204).
    /// The bridge sends a line every 15 s at least.
    func lines(_ path: String, headers: [String: String]) async throws -> AsyncLineSequence<URLSession.AsyncBytes>? {
        let request = try made(path, headers: headers, timeout: 20)
        let (bytes, response) = try await URLSession.shared.bytes(for: request)
        return try check(response) == 204 ? nil : bytes.lines
    }

    private func made(_ path: String, headers: [String: String], timeout: TimeInterval) throws -> URLRequest {
        guard let url = URL(string: base.absoluteString + path) else { throw URLError(.badURL) }
        var request = URLRequest(url: url, timeoutInterval: timeout)
        for (name, value) in headers where !value.isEmpty { request.setValue(value, forHTTPHeaderField: name) }
        return request
    }

    @discardableResult
    private func check(_ response: URLResponse) throws -> Int {
        let status = (response as? HTTPURLResponse)?.statusCode ?? 0
        guard status == 200 || status == 204 else { throw HttpRefused(status: status) }
        return status
    }
}
