package com.example.bridge

import java.io.IOException
import kotlin.coroutines.resume
import kotlin.coroutines.resumeWithException
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlinx.coroutines.withTimeoutOrNull
import org.webrtc.AudioTrack
import org.webrtc.DataChannel
import org.webrtc.IceCandidate
import org.webrtc.MediaConstraints
import org.webrtc.MediaStream
import org.webrtc.PeerConnection
import org.webrtc.PeerConnection.PeerConnectionState
import org.webrtc.PeerConnectionFactory
import org.webrtc.RtpReceiver
import org.webrtc.SdpObserver
import org.webrtc.SessionDescription

private const val GATHER_NONE = 2_000L // ms without any candidate: the offer is sent anyway
private const val GATHER_MORE = 500L // ms after the first one; the bridge learns later ones from checks

/** One peer connection to the bridge. Its callbacks come on a thread of WebRTC's own. */
class Link(factory: PeerConnectionFactory, servers: List<IceServer>, microphone: AudioTrack) {
    val state = MutableStateFlow(PeerConnectionState.NEW)
    private val candidates = MutableStateFlow(0)
    private val peer: PeerConnection

    init {
        val configuration = PeerConnection.RTCConfiguration(servers.filter { it.urls.isNotEmpty() }.map(::native))
        configuration.sdpSemantics = PeerConnection.SdpSemantics.UNIFIED_PLAN
        configuration.bundlePolicy = PeerConnection.BundlePolicy.MAXBUNDLE
        configuration.iceConnectionReceivingTimeout = 2_000 // ms; the bridge sends a report every second
        peer = checkNotNull(factory.createPeerConnection(configuration, Observer())) { "WebRTC refused the configuration" }
        peer.addTrack(microphone, listOf("call"))
    }

    /** An offer that is worth sending: with the first candidates, without waiting for the last. */
    suspend fun offer(restart: Boolean): String {
        val constraints = MediaConstraints()
        if (restart) constraints.mandatory.add(MediaConstraints.KeyValuePair("IceRestart", "true"))
        candidates.value = 0
        val offer = checkNotNull(described { peer.createOffer(it, constraints) })
        described { peer.setLocalDescription(it, offer) }
        if (withTimeoutOrNull(GATHER_NONE) { candidates.first { it > 0 } } != null) delay(GATHER_MORE)
        return peer.localDescription.description
    }

    suspend fun answer(sdp: String) {
        val answer = SessionDescription(SessionDescription.Type.ANSWER, sdp)
        described { peer.setRemoteDescription(it, answer) }
    }

    /** Whether media can flow before [limit] ms are over. */
    suspend fun up(limit: Long): Boolean =
        withTimeoutOrNull(limit) { state.first { it == PeerConnectionState.CONNECTED } } != null

    /** Not to be called from a callback of WebRTC's. */
    fun close() = peer.dispose()

    private fun native(server: IceServer): PeerConnection.IceServer =
        PeerConnection.IceServer.builder(server.urls)
            .setUsername(server.username)
            .setPassword(server.credential)
            .createIceServer()

    private suspend fun described(start: (SdpObserver) -> Unit): SessionDescription? =
        suspendCancellableCoroutine { waiting ->
            start(object : SdpObserver {
                override fun onCreateSuccess(description: SessionDescription) = waiting.resume(description)
                override fun onSetSuccess() = waiting.resume(null)
                override fun onCreateFailure(error: String?) = waiting.resumeWithException(IOException(error))
                override fun onSetFailure(error: String?) = waiting.resumeWithException(IOException(error))
            })
        }

    private inner class Observer : PeerConnection.Observer {
        override fun onConnectionChange(newState: PeerConnectionState) {
            state.value = newState
        }

        override fun onIceCandidate(candidate: IceCandidate) {
            candidates.value += 1
        }

        override fun onSignalingChange(newState: PeerConnection.SignalingState) = Unit
        override fun onIceConnectionChange(newState: PeerConnection.IceConnectionState) = Unit
        override fun onIceConnectionReceivingChange(receiving: Boolean) = Unit
        override fun onIceGatheringChange(newState: PeerConnection.IceGatheringState) = Unit
        override fun onIceCandidatesRemoved(removed: Array<out IceCandidate>) = Unit
        override fun onAddStream(stream: MediaStream) = Unit // remote audio is played by itself
        override fun onRemoveStream(stream: MediaStream) = Unit
        override fun onDataChannel(channel: DataChannel) = Unit
        override fun onRenegotiationNeeded() = Unit
        override fun onAddTrack(receiver: RtpReceiver, streams: Array<out MediaStream>) = Unit
    }
}
