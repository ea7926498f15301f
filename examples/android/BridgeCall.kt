package com.example.bridge

import java.io.IOException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeoutOrNull
import org.webrtc.AudioTrack
import org.webrtc.PeerConnection.PeerConnectionState
import org.webrtc.PeerConnectionFactory

enum class CallState { NEW, CONNECTING, CONNECTED, RECONNECTING, ENDED }

private const val CONNECT_LIMIT = 20_000L // ms, the bridge's own limit for ICE and DTLS
private const val RECOVERY_LIMIT = 3_000L // ms for a new path, once the bridge has answered
private const val GIVE_UP = 95_000L // ms: the bridge finds a dead leg after 35 s, and keeps a call without legs for 60 s

/**
 * This phone's audio in one call, kept alive across changes of the network.
 *
 * All of it runs in [scope], on the main thread; cancelling that does not tell the bridge, [close] does.
 */
class BridgeCall(
    private val factory: PeerConnectionFactory,
    private val api: BridgeApi,
    private val callId: String,
    private val microphone: AudioTrack,
    private val scope: CoroutineScope,
) {
    val state = MutableStateFlow(CallState.NEW)
    private var link: Link? = null
    private var legId: String? = null
    private var replaced = false // the bridge has answered for a connection that did not come up here
    private var watching: Job? = null
    private var recovering: Job? = null

    /** Join the call; returns when media flows, or throws why it does not. */
    suspend fun connect() {
        state.value = CallState.CONNECTING
        val joined = try {
            build(CONNECT_LIMIT)
        } catch (error: Exception) {
            close()
            throw error
        }
        if (!joined) {
            close()
            throw IOException("no path to the bridge was found: a TURN server would help")
        }
        state.value = CallState.CONNECTED
    }

    /** Find a new path: after a change of the network, and by itself when nothing arrives any more. */
    fun reconnect() {
        if (state.value != CallState.CONNECTED || recovering?.isActive == true) return
        recovering = scope.launch {
            state.value = CallState.RECONNECTING
            val back = withTimeoutOrNull(GIVE_UP) { comeBack() } ?: false
            if (back) state.value = CallState.CONNECTED else close()
        }
    }

    /** Leave the call; the call itself goes on. */
    suspend fun close() {
        if (state.value == CallState.ENDED) return
        state.value = CallState.ENDED
        watching?.cancel()
        link?.close()
        closeLeg()
    }

    private suspend fun closeLeg() {
        val leg = legId ?: return
        withContext(NonCancellable) {
            try {
                api.close(Close(callId, leg))
            } catch (_: IOException) {
                // The bridge finds out by itself within 35 s.
            }
        }
    }

    /** An ICE restart first, then a new connection under the same leg, in turn; false when the call is over. */
    private suspend fun comeBack(): Boolean {
        var restart = true
        while (state.value == CallState.RECONNECTING) {
            try {
                val back = if (restart && !replaced) restarted() else build(RECOVERY_LIMIT)
                if (back) return true
            } catch (refused: HttpRefused) {
                val gone = refused.status == 404 && legId != null
                if (!gone && refused.status in setOf(401, 403, 404, 409)) return false // the call has ended
                if (gone) legId = null // the leg has: join as a new one
                restart = true // which is turned to false below
                delay(1_000)
            } catch (_: IOException) {
                delay(1_000) // no network yet
            }
            restart = !restart
        }
        return false
    }

    private suspend fun restarted(): Boolean {
        val current = link ?: return false
        negotiate(current, restart = true)
        return current.up(RECOVERY_LIMIT)
    }

    /** Open a connection, and close the old one only then: the bridge takes its end for the end of the leg. */
    private suspend fun build(limit: Long): Boolean {
        val fresh = Link(factory, api.config().iceServers, microphone)
        val up = try {
            negotiate(fresh, restart = false)
            replaced = link != null
            fresh.up(limit) && state.value != CallState.ENDED
        } catch (error: Exception) {
            fresh.close()
            throw error
        }
        if (!up) {
            fresh.close()
            return false
        }
        val old = link
        link = fresh
        replaced = false
        watch(fresh)
        old?.close()
        return true
    }

    private suspend fun negotiate(link: Link, restart: Boolean) {
        val answer = api.offer(Offer(callId, "offer", link.offer(restart), legId))
        legId = answer.legID
        if (state.value == CallState.ENDED) closeLeg() // closed while the request was under way
        link.answer(answer.sdp)
    }

    private fun watch(link: Link) {
        watching?.cancel()
        watching = scope.launch {
            link.state.collect {
                if (it == PeerConnectionState.DISCONNECTED || it == PeerConnectionState.FAILED) reconnect()
            }
        }
    }
}
