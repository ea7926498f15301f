package com.example.bridge

import java.io.IOException
import java.net.HttpURLConnection
import java.net.URL
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext
import kotlinx.serialization.json.Json

val JSON = Json { ignoreUnknownKeys = true }

/** The other side answered, and not with what was asked for. */
class HttpRefused(val status: Int, text: String) : IOException("HTTP $status: $text")

/** JSON over HTTP with what Android itself has. */
class JsonHttp(private val base: String) {
    /** @throws IOException the network is down; [HttpRefused] */
    suspend fun send(method: String, path: String, headers: Map<String, String>, body: String? = null): String =
        withContext(Dispatchers.IO) {
            val connection = open(path, headers, timeout = 10_000)
            try {
                connection.requestMethod = method
                if (body != null) {
                    connection.doOutput = true
                    connection.setRequestProperty("Content-Type", "application/json")
                    connection.outputStream.use { it.write(body.toByteArray()) }
                }
                connection.checked().inputStream.bufferedReader().use { it.readText() }
            } finally {
                connection.disconnect()
            }
        }

    /** Read an answer line by line, as server-sent events come; the bridge sends one every 15 s at least.
     *
     * @return whether there was anything to read
     */
    suspend fun lines(path: String, headers: Map<String, String>, take: suspend (String) -> Unit): Boolean {
        val connection = withContext(Dispatchers.IO) { open(path, headers, timeout = 20_000).checked() }
        try {
            val reader = connection.inputStream.bufferedReader()
            while (true) take(withContext(Dispatchers.IO) { reader.readLine() } ?: break)
            return connection.responseCode == 200
        } finally {
            connection.disconnect()
        }
    }

    private fun open(path: String, headers: Map<String, String>, timeout: Int): HttpURLConnection {
        val connection = URL(base + path).openConnection() as HttpURLConnection
        connection.connectTimeout = 5_000
        connection.readTimeout = timeout
        headers.forEach { (name, value) -> if (value.isNotEmpty()) connection.setRequestProperty(name, value) }
        return connection
    }

    private fun HttpURLConnection.checked(): HttpURLConnection {
        val status = responseCode
        if (status == 200 || status == 204) return this
        val text = errorStream?.bufferedReader()?.use { it.readText() }.orEmpty()
        disconnect()
        throw HttpRefused(status, text)
    }
}
