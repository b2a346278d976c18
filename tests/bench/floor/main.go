// The floor of `make bench`: sends pictures and sound that are encoded already, when they are due.
//
// Arguments: an H.264 file (Annex B, one slice a picture), an Ogg file with one Opus packet a page, and a file that
// gets `number epoch_us` for each picture. LIVEKIT_URL and LIVEKIT_TOKEN are the target.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"github.com/pion/webrtc/v4/pkg/media/h264reader"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"
)

const (
	pictureTime = time.Second / 30
	soundTime   = 20 * time.Millisecond
)

func main() {
	pictures := readPictures(os.Args[1])
	sounds := readSounds(os.Args[2])
	times, err := os.Create(os.Args[3])
	must(err)

	room, err := lksdk.ConnectToRoomWithToken(os.Getenv("LIVEKIT_URL"), os.Getenv("LIVEKIT_TOKEN"), &lksdk.RoomCallback{})
	must(err)

	var bound sync.WaitGroup
	video := publish(room, &bound, webrtc.MimeTypeH264, 90000, &lksdk.TrackPublicationOptions{
		Name: "camera", Source: livekit.TrackSource_CAMERA, VideoWidth: 1280, VideoHeight: 720,
	})
	audio := publish(room, &bound, webrtc.MimeTypeOpus, 48000, &lksdk.TrackPublicationOptions{
		Name: "microphone", Source: livekit.TrackSource_MICROPHONE,
	})
	bound.Wait()

	start := time.Now()
	go send(video, start, pictures, pictureTime, func(number int) {
		fmt.Fprintf(times, "%d %d\n", number, time.Now().UnixMicro())
	})
	go send(audio, start, sounds, soundTime, func(int) {})

	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM)
	<-told
	room.Disconnect()
}

// publish returns a track that counts as bound once its connection takes packets.
func publish(room *lksdk.Room, bound *sync.WaitGroup, mime string, rate uint32, options *lksdk.TrackPublicationOptions) *lksdk.LocalTrack {
	track, err := lksdk.NewLocalTrack(webrtc.RTPCodecCapability{MimeType: mime, ClockRate: rate})
	must(err)
	bound.Add(1)
	track.OnBind(sync.OnceFunc(bound.Done))
	_, err = room.LocalParticipant.PublishTrack(track, options)
	must(err)
	return track
}

func send(track *lksdk.LocalTrack, start time.Time, samples [][]byte, each time.Duration, note func(int)) {
	for number := 0; ; number++ {
		time.Sleep(time.Until(start.Add(time.Duration(number) * each)))
		note(number % len(samples))
		must(track.WriteSample(media.Sample{Data: samples[number%len(samples)], Duration: each}, nil))
	}
}

// readPictures returns access units: NAL units before a slice, such as parameter sets, belong to it.
func readPictures(path string) [][]byte {
	data, err := os.ReadFile(path)
	must(err)
	reader, err := h264reader.NewReader(bytes.NewReader(data))
	must(err)
	var units [][]byte
	var unit []byte
	for {
		nal, err := reader.NextNAL()
		if errors.Is(err, io.EOF) {
			return units
		}
		must(err)
		unit = append(append(unit, 0, 0, 0, 1), nal.Data...)
		if nal.UnitType == h264reader.NalUnitTypeCodedSliceIdr || nal.UnitType == h264reader.NalUnitTypeCodedSliceNonIdr {
			units, unit = append(units, unit), nil
		}
	}
}

func readSounds(path string) [][]byte {
	data, err := os.ReadFile(path)
	must(err)
	reader, _, err := oggreader.NewWith(bytes.NewReader(data))
	must(err)
	var packets [][]byte
	for {
		page, _, err := reader.ParseNextPage()
		if errors.Is(err, io.EOF) {
			return packets
		}
		must(err)
		if !bytes.HasPrefix(page, []byte("OpusTags")) {
			packets = append(packets, page)
		}
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
