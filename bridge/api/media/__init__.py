"""Routes of a call's audio: WebRTC, sockets, streams, playback, recordings, transcripts, voicemail."""
